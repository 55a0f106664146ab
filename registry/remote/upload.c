/* Blobs on their way to a registry: whole, or, to one of Ingot's, as the frames that it lacks. */
#include <errno.h>
#include <fcntl.h>
#include <ingot/encoder.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <ingot/process.h>
#include <string.h>
#include <unistd.h>

#include "base/crew.h"
#include "remote/http.h"

#define ERROR_MAX (64u << 10) /* bytes of an answer that is not wanted for itself */
#define FRAME_MAX (1u << 20)  /* bytes that a registry takes as one frame */
#define LIST_MAX (64u << 20)  /* bytes of a list that it takes */
#define ENTRY 36              /* bytes of the list for each frame: digest, length */
#define RUN 64u               /* frames that a thread takes at once */
#define THREADS_MAX 16u
#define AT_ONCE_MAX ((guint64)256 << 20) /* bytes of a blob that a registry hashes without a word */
#define END_PATIENCE 1800                /* seconds, for a registry that says that it does */

typedef struct {
    char *location; /* absolute */
    char *frames;   /* where to tell the frames; NULL: the registry does not know of them */
    Patience patience;
    guint64 counted, known; /* bytes that progress has heard of: that were sent; that need not be */
    gboolean again;         /* it is not done: the registry wants another one */
} Upload;

static void upload_clear(Upload *upload)
{
    g_clear_pointer(&upload->location, g_free);
    g_clear_pointer(&upload->frames, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Upload, upload_clear)

/* Location may be a path. */
static char *absolute(const IngotRemote *remote, const char *location)
{
    return location == NULL     ? NULL
           : location[0] == '/' ? g_strconcat(remote->base, location, NULL)
                                : g_strdup(location);
}

static gboolean begin(IngotRemote *remote, const char *name, Upload *upload, GError **error)
{
    g_auto(HttpExchange) post = {
        .method = "POST", .url = http_api_url(remote, name, "blobs", "uploads/"), .body = "", .limit = ERROR_MAX};
    upload_clear(upload);
    upload->again = FALSE;
    if (!http_exchange(remote, &post, error)) {
        return FALSE;
    }
    upload->location = absolute(remote, http_header(&post, "location"));
    upload->frames = absolute(remote, http_header(&post, "ingot-frames"));
    return (post.status == 202 && upload->location != NULL) || http_refused(remote, &post, error);
}

/* Where an upload ends: it may have a query already. */
static char *finish_url(const Upload *upload, const IngotDigest *digest)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(digest, text);
    return g_strdup_printf("%s%sdigest=%s", upload->location, strchr(upload->location, '?') == NULL ? "?" : "&", text);
}

/* What is sent of an upload; upload->again: it came to nothing, and is to be begun anew. */
static gboolean send_part(IngotRemote *remote, Upload *upload, HttpExchange *exchange, long wanted, GError **error)
{
    exchange->patience = &upload->patience;
    exchange->counted = upload->counted;
    gboolean ok = http_exchange(remote, exchange, error);
    upload->counted = exchange->counted;
    upload->again = ok && exchange->begin_anew;
    return ok && (upload->again || exchange->status == wanted || http_refused(remote, exchange, error));
}

/* The same with its end. */
static gboolean put(IngotRemote *remote, Upload *upload, HttpExchange *exchange, GError **error)
{
    return send_part(remote, upload, exchange, 201, error);
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
    return put(remote, upload, &whole, error);
}

static gboolean put_blob(IngotRemote *remote, const char *name, Upload *upload, int fd, const IngotDescriptor *blob,
                         IngotProgress *progress, GError **error)
{
    gboolean ok;
    do {
        ok = begin(remote, name, upload, error) && put_whole(remote, upload, fd, blob, progress, error);
    } while (ok && upload->again);
    return ok;
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
static GArray *ask_missing(IngotRemote *remote, const Upload *upload, const GArray *frames, const guint8 *list,
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
    if (!http_exchange(remote, &post, error) || (post.status != 200 && !http_refused(remote, &post, error))) {
        return NULL;
    }
    if (post.answer->len != bits) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: the answer does not fit the frames", post.url);
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

/* The missing frames alone; upload->again: that came to nothing. */
static gboolean send_missing(IngotRemote *remote, Upload *upload, HttpExchange *exchange, GError **error)
{
    if (!send_part(remote, upload, exchange, 202, error)) {
        return FALSE;
    }
    char *location = upload->again ? NULL : absolute(remote, http_header(exchange, "location"));
    if (location != NULL) {
        g_free(upload->location);
        upload->location = location;
    }
    return TRUE;
}

/* A registry that still hashes what it has says so, and is asked again. */
static gboolean put_end(IngotRemote *remote, Upload *upload, const IngotDescriptor *blob, GError **error)
{
    Patience patience = patience_of(END_PATIENCE);
    g_auto(HttpExchange) end = {.method = "PUT",
                                .url = finish_url(upload, &blob->digest),
                                .body = "",
                                .limit = ERROR_MAX,
                                .patience = &patience};
    return http_exchange(remote, &end, error) && (end.status == 201 || http_refused(remote, &end, error));
}

/* In one request, unless it may take the registry long to hash the blob: the frames do not go with a request that is
 * sent again then. */
static gboolean put_missing(IngotRemote *remote, Upload *upload, int fd, const IngotDescriptor *blob,
                            const GArray *missing, IngotProgress *progress, GError **error)
{
    static const char *const headers[] = {"Content-Type: application/octet-stream", NULL};
    guint64 total = total_of(missing), known = MAX(upload->known, blob->size - total);
    gboolean at_once = blob->size <= AT_ONCE_MAX && total > 0;
    ingot_progress_add(progress, known - upload->known);
    upload->known = known;
    g_auto(HttpExchange) rest = {.method = at_once ? "PUT" : "PATCH",
                                 .url = at_once ? finish_url(upload, &blob->digest) : g_strdup(upload->location),
                                 .headers = headers,
                                 .body = "",
                                 .upload_fd = fd,
                                 .upload_size = total,
                                 .upload_ranges = (const IngotRange *)(gpointer)missing->data,
                                 .progress = progress,
                                 .limit = ERROR_MAX};
    if (at_once) {
        return put(remote, upload, &rest, error);
    }
    return (total == 0 || send_missing(remote, upload, &rest, error)) &&
           (upload->again || put_end(remote, upload, blob, error));
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

gboolean ingot_remote_put_disk(IngotRemote *remote, const char *name, const char *path, const IngotDescriptor *blob,
                               IngotIndex *index, IngotProgress *progress, guint64 *sent, GError **error)
{
    g_auto(Upload) upload = {.patience = patience_of(remote->patience)};
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
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INTERRUPTED) ||
        g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NETWORK)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    *count += blob->size;
    g_clear_pointer(&index->frames, g_array_unref); /* they may be why */
    /* An upload that knows of frames takes nothing else. */
    ok = tried || put_whole(remote, &upload, fd, blob, progress, error);
    return ok && (tried || upload.again) ? put_blob(remote, name, &upload, fd, blob, progress, error) : ok;
}
