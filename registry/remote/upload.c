/* Blobs on their way to a registry: whole, or, to one of Ingot's, as the frames that it lacks. */
#include "base/file.h"
#include "base/process.h"
#include "image/encoder.h"
#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <unistd.h>

#include "base/crew.h"
#include "remote/failure.h"
#include "remote/http.h"

#define ERROR_MAX (64u << 10) /* bytes of an answer that is not wanted for itself */
#define FRAME_MAX (1u << 20)  /* bytes that a registry takes as one frame */
#define LIST_MAX (64u << 20)  /* bytes of a list that it takes */
#define ENTRY 36              /* bytes of the list for each frame: digest, length */
#define RUN 64u               /* frames that a thread takes at once */
#define THREADS_MAX 16u
#define AT_ONCE_MAX ((guint64)256 << 20) /* bytes of a blob that a registry hashes within a moment, as a rule */
#define END_PATIENCE 1800                /* seconds, for a registry that says that it still does */
#define END_SILENCE 15                   /* seconds that a registry may take to say so */

typedef struct {
    char *location; /* absolute */
    char *frames;   /* where to tell the frames; NULL: the registry does not know of them */
    Patience patience;
    guint64 counted, known;          /* bytes that progress has heard of: that were sent; that need not be */
    gboolean again;                  /* it is not done: the registry wants another one */
    long refused;                    /* the status with which the registry has refused something of it; 0: none */
    const IngotMeanwhile *meanwhile; /* what is still to be done meanwhile; NULL: nothing */
    gboolean left;                   /* what was to be done meanwhile has failed */
} Upload;

static void upload_clear(Upload *upload)
{
    g_clear_pointer(&upload->location, g_free);
    g_clear_pointer(&upload->frames, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Upload, upload_clear)

static gboolean is_broken_off(const GError *problem)
{
    return g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INTERRUPTED) ||
           g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NETWORK);
}

/* *url: where a header of an answer leads; as it was where the answer has none. */
static gboolean take_location(const IngotRemote *remote, const HttpExchange *exchange, const char *header, char **url,
                              GError **error)
{
    const char *text = http_header(exchange, header);
    char *found = text == NULL ? NULL : http_location(remote, exchange, text, error);
    if (found != NULL) {
        g_free(*url);
        *url = found;
    }
    return text == NULL || found != NULL;
}

/* Always FALSE. */
static gboolean refused(IngotRemote *remote, Upload *upload, const HttpExchange *exchange, GError **error)
{
    upload->refused = exchange->status;
    return http_refused(remote, exchange, error);
}

/* What nobody ends would take room at the registry for a day. One that can't drop it is no error. */
static void drop(IngotRemote *remote, Upload *upload)
{
    IngotRemoteEnd ended = remote->ended;
    Patience none = patience_of(0);
    g_auto(HttpExchange)
        end = {.method = "DELETE", .url = g_strdup(upload->location), .limit = ERROR_MAX, .patience = &none};
    if (upload->location != NULL) {
        http_exchange(remote, &end, NULL);
        upload_clear(upload);
        remote->ended = ended;
    }
}

/* A registry that is out of reach is not asked to drop anything. Always FALSE. */
static gboolean give_up(IngotRemote *remote, Upload *upload, GError *problem, GError **error)
{
    if (!is_broken_off(problem)) {
        drop(remote, upload);
    }
    g_propagate_error(error, problem);
    return FALSE;
}

/* The one before it is not wanted any more. */
static gboolean begin(IngotRemote *remote, const char *name, Upload *upload, GError **error)
{
    drop(remote, upload);
    g_auto(HttpExchange) post = {
        .method = "POST", .url = http_api_url(remote, name, "blobs", "uploads/"), .body = "", .limit = ERROR_MAX};
    upload->again = FALSE;
    if (!http_exchange(remote, &post, error)) {
        return FALSE;
    }
    const char *location = post.status == 202 ? http_header(&post, "location") : NULL;
    if (location == NULL) {
        http_refused(remote, &post, error);
        return FALSE;
    }
    upload->location = http_location(remote, &post, location, error);
    return upload->location != NULL && take_location(remote, &post, "ingot-frames", &upload->frames, error);
}

/* Where an upload ends: it may have a query already. */
static char *finish_url(const Upload *upload, const IngotDigest *digest)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(digest, text);
    return g_strdup_printf("%s%sdigest=%s", upload->location, strchr(upload->location, '?') == NULL ? "?" : "&", text);
}

/* What is sent of an upload; upload->again: the registry wants it later, and that has been waited for. */
static gboolean send_part(IngotRemote *remote, Upload *upload, HttpExchange *exchange, GError **error)
{
    exchange->patience = &upload->patience;
    exchange->counted = upload->counted;
    gboolean ok = http_exchange(remote, exchange, error);
    upload->counted = exchange->counted;
    upload->again = ok && exchange->begin_anew;
    return ok;
}

/* The whole of it in one request. */
static gboolean put_whole(IngotRemote *remote, Upload *upload, int fd, const IngotDescriptor *blob,
                          IngotProgress *progress, GError **error)
{
    static const char *const headers[] = {"Content-Type: application/octet-stream", NULL};
    g_auto(HttpExchange) whole = {.method = "PUT",
                                  .url = finish_url(upload, &blob->digest),
                                  .headers = headers,
                                  .upload_fd = fd,
                                  .upload_size = blob->size,
                                  .progress = progress,
                                  .limit = ERROR_MAX};
    return send_part(remote, upload, &whole, error) &&
           (upload->again || whole.status == 201 || refused(remote, upload, &whole, error));
}

static gboolean put_blob(IngotRemote *remote, const char *name, Upload *upload, int fd, const IngotDescriptor *blob,
                         IngotProgress *progress, GError **error)
{
    GError *problem = NULL;
    gboolean ok;
    do {
        ok = begin(remote, name, upload, &problem) && put_whole(remote, upload, fd, blob, progress, &problem);
    } while (ok && upload->again);
    return ok || give_up(remote, upload, problem, error);
}

gboolean ingot_remote_put_blob(IngotRemote *remote, const char *name, const char *path, const IngotDescriptor *blob,
                               IngotProgress *progress, GError **error)
{
    g_auto(Upload) upload = {.patience = patience_of(remote->patience)};
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDONLY, 0, error);
    return fd >= 0 && put_blob(remote, name, &upload, fd, blob, progress, error);
}

/* --- frames --- */

typedef struct {
    int fd;
    const char *path;
    const IngotRange *frames; /* all of the blob */
    guint count, next;        /* next: atomic; it begins behind those that are known */
    guint8 *list;
    GMutex lock;
    GError *failure;
} Listing;

static void write_entry(const Listing *listing, guint i, const IngotDigest *digest)
{
    guint8 *entry = listing->list + (gsize)i * ENTRY;
    guint32 length = GUINT32_TO_LE((guint32)listing->frames[i].length);
    memcpy(entry, digest->bytes, INGOT_DIGEST_SIZE);
    memcpy(entry + INGOT_DIGEST_SIZE, &length, sizeof length);
}

static gboolean add_entry(const Listing *listing, guint i, guint8 *data, GError **error)
{
    IngotDigest digest;
    gsize length = (gsize)listing->frames[i].length;
    if (!ingot_file_pread(listing->fd, data, length, listing->frames[i].offset, listing->path, error)) {
        return FALSE;
    }
    ingot_digest_of(data, length, &digest);
    write_entry(listing, i, &digest);
    return TRUE;
}

static gpointer add_entries(gpointer user)
{
    Listing *listing = user;
    g_autofree guint8 *data = g_malloc(FRAME_MAX);
    GError *error = NULL;
    guint first;
    while (error == NULL && (first = g_atomic_int_add(&listing->next, RUN)) < listing->count) {
        gboolean ok = ingot_interrupt_check(&error);
        for (guint i = first; ok && i < MIN(first + RUN, listing->count); i++) {
            ok = add_entry(listing, i, data, &error);
        }
    }
    g_mutex_lock(&listing->lock);
    if (listing->failure == NULL) {
        listing->failure = g_steal_pointer(&error);
    }
    g_mutex_unlock(&listing->lock);
    g_clear_error(&error);
    return NULL;
}

/* What was worked out of the disk's own frames is known from then on. */
static void learn_frames(IngotIndex *index, const Listing *listing)
{
    IngotDigest digest;
    index->frames = g_array_sized_new(FALSE, FALSE, sizeof digest, index->chunks->len);
    for (guint i = 0; i < index->chunks->len; i++) {
        memcpy(digest.bytes, listing->list + (gsize)i * ENTRY, sizeof digest.bytes);
        g_array_append_val(index->frames, digest);
    }
}

/* Each frame's digest and length; those that the index does not know are read, on all cores; NULL: an error. */
static guint8 *list_frames(int fd, const char *path, const GArray *frames, IngotIndex *index, GError **error)
{
    Listing listing = {.fd = fd, .path = path, .frames = (const IngotRange *)(gpointer)frames->data};
    listing.count = frames->len;
    listing.list = g_malloc((gsize)frames->len * ENTRY);
    gboolean known = index->frames != NULL && index->frames->len == index->chunks->len;
    for (; known && listing.next < index->chunks->len; listing.next++) {
        write_entry(&listing, listing.next, &g_array_index(index->frames, IngotDigest, listing.next));
    }
    g_mutex_init(&listing.lock);
    crew_run("frames", known ? 1 : MIN(g_get_num_processors(), THREADS_MAX), add_entries, &listing);
    g_mutex_clear(&listing.lock);
    if (listing.failure != NULL) {
        g_propagate_error(error, listing.failure);
        g_clear_pointer(&listing.list, g_free);
    } else if (!known) {
        g_clear_pointer(&index->frames, g_array_unref);
        learn_frames(index, &listing);
    }
    return listing.list;
}

/* The blob's frames, its seek table among them; NULL: a registry would not take them as such. */
static GArray *find_frames(const IngotIndex *index, guint64 blob_size)
{
    g_autoptr(GArray) frames = g_array_new(FALSE, FALSE, sizeof(IngotRange));
    for (guint i = 0; i < index->chunks->len; i++) {
        const IngotChunk *chunk = ingot_index_chunk(index, i);
        IngotRange range = {.offset = chunk->stored_offset, .length = chunk->stored_length};
        if (range.length > FRAME_MAX) {
            return NULL;
        }
        g_array_append_val(frames, range);
    }
    for (guint64 at = index->blob_size; at < blob_size; at += FRAME_MAX) {
        IngotRange range = {.offset = at, .length = MIN(blob_size - at, FRAME_MAX)};
        g_array_append_val(frames, range);
    }
    return (gsize)frames->len * ENTRY <= LIST_MAX ? g_steal_pointer(&frames) : NULL;
}

/* Tells the frames; those that are missing, neighbours joined, or NULL. */
static GArray *ask_missing(IngotRemote *remote, Upload *upload, const GArray *frames, const guint8 *list,
                           GError **error)
{
    static const char *const headers[] = {"Content-Type: application/octet-stream", NULL};
    gsize bits = (frames->len + 7) / 8;
    g_auto(HttpExchange) post = {.method = "POST",
                                 .url = g_strdup(upload->frames),
                                 .headers = headers,
                                 .body = list,
                                 .body_size = (gsize)frames->len * ENTRY,
                                 .limit = MAX(bits, ERROR_MAX)};
    if (!http_exchange(remote, &post, error) || (post.status != 200 && !refused(remote, upload, &post, error))) {
        return NULL;
    }
    if (post.answer->len != bits) {
        failure_set(remote, post.url, INGOT_ERROR_FAILED, error, "the answer does not fit the frames");
        return NULL;
    }
    GArray *missing = g_array_new(FALSE, FALSE, sizeof(IngotRange));
    for (guint i = 0; i < frames->len; i++) {
        const IngotRange *frame = &g_array_index(frames, IngotRange, i);
        IngotRange *last = missing->len == 0 ? NULL : &g_array_index(missing, IngotRange, missing->len - 1);
        if ((post.answer->data[i / 8] & (1u << (i % 8))) == 0) {
            continue;
        }
        if (last != NULL && last->offset + last->length == frame->offset) {
            last->length += frame->length;
        } else {
            g_array_append_val(missing, *frame);
        }
    }
    return missing;
}

static guint64 total_of(const GArray *ranges)
{
    guint64 total = 0;
    for (guint i = 0; i < ranges->len; i++) {
        total += g_array_index(ranges, IngotRange, i).length;
    }
    return total;
}

/* Ends an upload that the registry has all of. One that still hashes it says so, and is asked again. doubt: the
 * registry may have taken none of it; upload->again: it has not. */
static gboolean put_end(IngotRemote *remote, Upload *upload, const IngotDescriptor *blob, gboolean doubt,
                        IngotProgress *progress, GError **error)
{
    Patience long_one = patience_by_clock(END_PATIENCE);
    gint64 wait = 0;
    upload->again = FALSE;
    for (gboolean told = FALSE;; told = TRUE) {
        g_auto(HttpExchange) end = {.method = "PUT",
                                    .url = finish_url(upload, &blob->digest),
                                    .body = "",
                                    .limit = ERROR_MAX,
                                    .silence = END_SILENCE,
                                    .patience = &upload->patience};
        if (!http_exchange(remote, &end, error)) {
            return FALSE;
        }
        if (!http_still_hashes(&end) || (wait = patience_take(&long_one, remote->curl, end.status)) < 0) {
            upload->again = doubt && (end.status == 400 || end.status == 404 || end.status == 409);
            return upload->again || end.status == 201 || refused(remote, upload, &end, error);
        }
        doubt = FALSE;
        if (!told) {
            ingot_progress_message(progress, "%s has all of the disk, and still works out its digest", remote->host);
        }
        if (!http_wait(remote, wait, error)) {
            return FALSE;
        }
    }
}

/* The registry has all of it, and hashes it. */
static gboolean do_meanwhile(Upload *upload, GError **error)
{
    const IngotMeanwhile *meanwhile = g_steal_pointer(&upload->meanwhile);
    upload->left = meanwhile != NULL && !meanwhile->run(meanwhile->user, error);
    return !upload->left;
}

/* The missing frames, and, unless it may take the registry long to hash the blob or there is something to be done
 * meanwhile, the end in the same request. */
static gboolean put_missing(IngotRemote *remote, Upload *upload, int fd, const IngotDescriptor *blob,
                            const GArray *missing, IngotProgress *progress, GError **error)
{
    static const char *const headers[] = {"Content-Type: application/octet-stream", NULL};
    guint64 total = total_of(missing), known = MAX(upload->known, blob->size - total);
    gboolean at_once = blob->size <= AT_ONCE_MAX && upload->meanwhile == NULL;
    ingot_progress_add(progress, known - upload->known);
    upload->known = known;
    if (total == 0) {
        return put_end(remote, upload, blob, FALSE, progress, error);
    }
    g_auto(HttpExchange) rest = {.method = at_once ? "PUT" : "PATCH",
                                 .url = at_once ? finish_url(upload, &blob->digest) : g_strdup(upload->location),
                                 .headers = headers,
                                 .upload_fd = fd,
                                 .upload_size = total,
                                 .upload_ranges = (const IngotRange *)(gpointer)missing->data,
                                 .progress = progress,
                                 .limit = ERROR_MAX,
                                 .silence = END_SILENCE};
    if (!send_part(remote, upload, &rest, error)) {
        return FALSE;
    }
    if (at_once && rest.status == 201) {
        return TRUE;
    }
    if (rest.status == 202 &&
        (!take_location(remote, &rest, "location", &upload->location, error) || !do_meanwhile(upload, error))) {
        return FALSE;
    }
    return upload->again || rest.status == 202 || http_still_hashes(&rest)
               ? put_end(remote, upload, blob, upload->again, progress, error)
               : refused(remote, upload, &rest, error);
}

/* *tried FALSE: the registry has to be sent the whole. */
static gboolean put_delta(IngotRemote *remote, Upload *upload, int fd, const char *path, const IngotDescriptor *blob,
                          const GArray *frames, IngotIndex *index, IngotProgress *progress, guint64 *sent,
                          gboolean *tried, GError **error)
{
    *tried = upload->frames != NULL && frames != NULL;
    g_autofree guint8 *list = !*tried ? NULL : list_frames(fd, path, frames, index, error);
    g_autoptr(GArray) missing = list == NULL ? NULL : ask_missing(remote, upload, frames, list, error);
    if (missing == NULL) {
        return FALSE;
    }
    *sent += (guint64)frames->len * ENTRY + total_of(missing);
    return put_missing(remote, upload, fd, blob, missing, progress, error);
}

/* Whether the whole may be taken where its frames were not: no registry that has no time, room or rights for the frames
 * has them for more. */
static gboolean may_take_whole(const Upload *upload, const GError *problem)
{
    static const long for_all[] = {401, 403, 429, 503, 507};
    for (guint i = 0; i < G_N_ELEMENTS(for_all); i++) {
        if (upload->refused == for_all[i]) {
            return FALSE;
        }
    }
    return !upload->left && !is_broken_off(problem);
}

/* The whole: as that upload, where it is as it was begun; one that knows of frames takes nothing else. */
static gboolean put_instead(IngotRemote *remote, const char *name, Upload *upload, int fd, const IngotDescriptor *blob,
                            gboolean is_new, IngotProgress *progress, GError **error)
{
    GError *problem = NULL;
    if (is_new && !put_whole(remote, upload, fd, blob, progress, &problem)) {
        return give_up(remote, upload, problem, error);
    }
    return (is_new && !upload->again) || put_blob(remote, name, upload, fd, blob, progress, error);
}

gboolean ingot_remote_put_disk(IngotRemote *remote, const char *name, const char *path, const IngotDescriptor *blob,
                               IngotIndex *index, const IngotMeanwhile *meanwhile, IngotProgress *progress,
                               guint64 *sent, GError **error)
{
    g_auto(Upload) upload = {.patience = patience_of(remote->patience), .meanwhile = meanwhile};
    gboolean tried = FALSE, ok;
    guint64 own = 0, *count = sent == NULL ? &own : sent;
    g_autoptr(GArray) frames = find_frames(index, blob->size);
    g_autoptr(GError) problem = NULL;
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDONLY, 0, error);
    if (fd < 0) {
        return FALSE;
    }
    do {
        if (!begin(remote, name, &upload, error)) {
            return FALSE;
        }
        ok = put_delta(remote, &upload, fd, path, blob, frames, index, progress, count, &tried, &problem);
    } while (ok && upload.again);
    if (ok) {
        return TRUE;
    }
    if (!may_take_whole(&upload, problem)) {
        return give_up(remote, &upload, g_steal_pointer(&problem), error);
    }
    if (upload.refused == 400) { /* the digests may be why */
        g_clear_pointer(&index->frames, g_array_unref);
    }
    *count += blob->size;
    return put_instead(remote, name, &upload, fd, blob, !tried, progress, error);
}
