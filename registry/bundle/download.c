#include "bundle/download.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

#include "base/process.h"
#include "base/text.h"
#include "bundle/checked.h"
#include "remote/http.h"
#include "remote/patience.h"

#define ATTEMPTS 5            /* in a row that bring nothing new */
#define PATIENCE_SECONDS 1800 /* for a server that asks for it: a registry may have to work the file out first */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(CURL, curl_easy_cleanup)

typedef struct {
    const IngotDownloadWish *wish;
    const char *name; /* the URL for messages, without credentials */
    char *part;
    int fd;
    guint64 offset;    /* where the next byte goes */
    guint64 furthest;  /* that any attempt has come, where the file was begun anew too */
    guint64 *received; /* or NULL */
    char *entity;   /* a header by which the rest comes of the same file alone; NULL: the server tells no tag of it */
    gboolean shown; /* the progress has begun */
    Patience patience;
    gboolean waits;   /* the last attempt was told to come again */
    gboolean anew;    /* it found that the file has to be begun anew */
    gboolean is_told; /* and the user knows */
    CURL *curl;
    IngotProgress *progress;
    GError *error; /* from within a callback */
} Download;

/* The size is known with the first answer; later attempts go on with the same stage. */
static void begin_body(Download *download)
{
    curl_off_t left = 0;
    curl_easy_getinfo(download->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &left);
    if (!download->shown) {
        guint64 total = left > 0 ? download->offset + (guint64)left : 0;
        ingot_progress_begin(download->progress, total, "download %s", download->name);
        ingot_progress_add(download->progress, download->offset);
        download->shown = TRUE;
    }
}

static size_t take(char *data, size_t size, size_t count, void *user)
{
    Download *download = user;
    gsize length = size * count;
    guint64 most = download->wish->most;
    begin_body(download);
    if (most > 0 && download->offset + length > most) {
        g_set_error(&download->error, INGOT_ERROR, INGOT_ERROR_LIMIT,
                    "%s: it has more than the %" G_GUINT64_FORMAT " bytes that it may have", download->name, most);
        return 0;
    }
    if (!ingot_file_pwrite(download->fd, data, length, download->offset, download->part, &download->error)) {
        return 0;
    }
    download->offset += length;
    if (download->received != NULL) {
        *download->received += length;
    }
    ingot_progress_add(download->progress, length);
    return length;
}

static int watch(void *user, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now)
{
    Download *download = user;
    (void)total, (void)now, (void)up_total, (void)up_now;
    return download->error == NULL && !ingot_interrupt_check(&download->error);
}

static void configure(Download *download, char *reason)
{
    CURL *curl = download->curl;
    g_autoptr(IngotRemoteOptions) options = ingot_remote_options_from_environment();
    http_prepare(curl, download->wish->url, options);
    if (download->wish->token != NULL) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, download->wish->token);
    }
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, download);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, watch);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, download);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
}

/* A weak tag does not say that the bytes are the same. */
static void note_entity(Download *download)
{
    struct curl_header *tag;
    if (download->entity == NULL && curl_easy_header(download->curl, "ETag", 0, CURLH_HEADER, -1, &tag) == CURLHE_OK &&
        tag->value[0] == '"') {
        download->entity = g_strconcat("If-Range: ", tag->value, NULL);
    }
}

static gboolean start_over(Download *download, GError **error)
{
    download->offset = 0;
    download->anew = TRUE;
    g_clear_pointer(&download->entity, g_free);
    return ftruncate(download->fd, 0) == 0 || ingot_error_set_errno(error, errno, "%s", download->part);
}

/* How long (microseconds) the server asks to wait (Retry-After, or by its status alone); -1: it does not, or has asked
 * for too much. */
static gint64 wait_asked_for(Download *download, long status)
{
    curl_off_t seconds = 0;
    curl_easy_getinfo(download->curl, CURLINFO_RETRY_AFTER, &seconds);
    gint64 wait =
        seconds > 0 || status == 429 ? patience_take(&download->patience, download->curl, CURLE_OK, status) : -1;
    if (wait >= 0 && !download->is_told) {
        ingot_progress_message(download->progress, "%s: the server asks to wait", download->name);
        download->is_told = TRUE;
    }
    return wait;
}

static IngotError code_of(long status)
{
    return status == 404 || status == 410   ? INGOT_ERROR_NOT_FOUND
           : status == 401 || status == 403 ? INGOT_ERROR_DENIED
                                            : INGOT_ERROR_NETWORK;
}

/* The rest of the file; *complete FALSE without an error asks for another attempt. */
static gboolean attempt(Download *download, gboolean *complete, GError **error)
{
    char reason[CURL_ERROR_SIZE] = "";
    g_autoptr(CURL) curl = curl_easy_init();
    long status = 0;
    download->curl = curl;
    download->waits = download->anew = FALSE;
    configure(download, reason);
    curl_easy_setopt(curl, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)download->offset);
    struct curl_slist *headers = download->entity == NULL ? NULL : curl_slist_append(NULL, download->entity);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    CURLcode code = curl_easy_perform(curl);
    curl_slist_free_all(headers);
    note_entity(download);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (download->error != NULL) {
        g_propagate_error(error, g_steal_pointer(&download->error));
        return FALSE;
    }
    /* 416: nothing follows what is there already. */
    *complete = code == CURLE_OK || (status == 416 && download->offset > 0);
    if (*complete || patience_broke_off(code)) {
        return TRUE;
    }
    gint64 wait = wait_asked_for(download, status);
    download->waits = wait >= 0;
    if (download->waits) {
        return patience_sleep(wait, error);
    }
    if (code == CURLE_RANGE_ERROR) { /* the server knows only whole files, or has another file now */
        return start_over(download, error);
    }
    g_set_error(error, INGOT_ERROR, code_of(status), "%s: %s", download->name,
                *reason != '\0' ? reason : curl_easy_strerror(code));
    return FALSE;
}

/* Bytes that an attempt before has brought as well are nothing new: a server that has another file each time would be
 * asked without end. */
static gboolean fetch(Download *download, GError **error)
{
    gboolean complete = FALSE;
    for (guint vain = 0; !complete && vain < ATTEMPTS;) {
        if (!attempt(download, &complete, error)) {
            return FALSE;
        }
        gboolean is_new = download->offset > download->furthest;
        download->furthest = MAX(download->furthest, download->offset);
        vain = is_new || download->waits ? 0 : vain + (download->anew ? 0 : 1);
    }
    if (!complete) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NETWORK,
                    "%s: the connection breaks off at byte %" G_GUINT64_FORMAT " again and again", download->name,
                    download->offset);
    }
    return complete;
}

/* Fetches what is missing and checks the whole. A file that was begun by another run may be the beginning of something
 * else: then once more from its first byte. */
static gboolean fetch_and_check(Download *download, GError **error)
{
    const IngotDownloadWish *wish = download->wish;
    gboolean resumed = download->offset > 0;
    g_autoptr(GError) problem = NULL;
    if (!fetch(download, error)) {
        return FALSE;
    }
    if (wish->check(download->part, download->name, wish->user, &problem)) {
        return TRUE;
    }
    if (!g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    if (resumed) {
        return start_over(download, error) && fetch_and_check(download, error);
    }
    unlink(download->part);
    g_propagate_error(error, g_steal_pointer(&problem));
    return FALSE;
}

static gboolean give_name(const Download *download, const char *path, GError **error)
{
    return download->wish->passing
               ? rename(download->part, path) == 0 || ingot_error_set_errno(error, errno, "%s", path)
               : ingot_file_publish(download->fd, download->part, path, error);
}

gboolean ingot_download_as(const IngotDownloadWish *wish, const char *path, guint64 *received, IngotProgress *progress,
                           GError **error)
{
    g_autoptr(IngotRemoteOptions) options = ingot_remote_options_from_environment();
    if (!http_check_settings(options, error)) {
        return FALSE;
    }
    g_autofree char *part = g_strconcat(path, ".part", NULL);
    g_autofree char *name = ingot_text_url(wish->url);
    g_auto(IngotFd) fd = ingot_file_open(part, O_RDWR | O_CREAT | (wish->anew ? O_TRUNC : 0), 0644, error);
    struct stat info;
    if (fd < 0) {
        return FALSE;
    }
    if (fstat(fd, &info) != 0) {
        return ingot_error_set_errno(error, errno, "%s", part);
    }
    Download download = {.wish = wish,
                         .name = name,
                         .part = part,
                         .fd = fd,
                         .offset = (guint64)info.st_size,
                         .furthest = (guint64)info.st_size,
                         .received = received,
                         .progress = progress,
                         .patience = patience_of(PATIENCE_SECONDS)};
    gboolean ok = fetch_and_check(&download, error) && give_name(&download, path, error);
    g_free(download.entity);
    if (ok && download.shown) {
        g_autofree char *size = ingot_text_size(download.offset);
        ingot_progress_end(progress, "%s", size);
    }
    return ok;
}

static gboolean check_digest(const char *path, const char *name, gpointer user, GError **error)
{
    return ingot_checked_read(path, name, user, error);
}

gboolean ingot_download(const char *url, const char *path, const IngotDigest *wanted, IngotProgress *progress,
                        GError **error)
{
    const IngotDownloadWish wish = {.url = url, .check = check_digest, .user = (gpointer)wanted};
    return ingot_download_as(&wish, path, NULL, progress, error);
}

/* Unless it is there. It is read before every use: what has rotted on the disk has the times that it had. */
static gboolean get(const char *url, const char *path, const IngotDigest *wanted, IngotProgress *progress,
                    GError **error)
{
    g_autoptr(GError) problem = NULL;
    if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
        return ingot_download(url, path, wanted, progress, error);
    }
    ingot_progress_begin(progress, 0, "check %s", path);
    if (ingot_checked_read(path, path, wanted, &problem)) {
        ingot_progress_end(progress, NULL);
        return TRUE;
    }
    ingot_progress_drop(progress);
    if (!g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    ingot_progress_message(progress, "%s, so it is fetched again", problem->message);
    return ingot_download(url, path, wanted, progress, error);
}

char *ingot_download_cached(const char *cache, const char *url, const IngotDigest *wanted, IngotProgress *progress,
                            IngotLock **use, GError **error)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(wanted, text);
    g_autofree char *absolute = g_canonicalize_filename(cache, NULL);
    g_autofree char *folder = g_build_filename(absolute, "sources", NULL);
    g_autofree char *path = g_strdup_printf("%s/image-%s", folder, text + strlen("sha256:"));
    g_autofree char *lock_path = g_strconcat(path, ".lock", NULL);
    g_autofree char *use_path = g_strconcat(path, INGOT_DOWNLOAD_USE, NULL);
    if (!ingot_file_make_folder(folder, error)) {
        return NULL;
    }
    g_autoptr(IngotLock) used = ingot_lock_take(use_path, FALSE, TRUE, error);
    g_autoptr(IngotLock) lock = used == NULL ? NULL : ingot_lock_take(lock_path, TRUE, TRUE, error);
    if (lock == NULL || !get(url, path, wanted, progress, error)) {
        return NULL;
    }
    g_utime(use_path, NULL);
    *use = g_steal_pointer(&used);
    return g_steal_pointer(&path);
}
