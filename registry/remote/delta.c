/* Packed disks on their way to a registry: to one of Ingot's, as the frames that it lacks. */
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>

#include "base/crew.h"
#include "base/file.h"
#include "base/process.h"
#include "image/encoder.h"
#include "remote/failure.h"
#include "remote/ours.h"
#include "remote/spans.h"
#include "remote/upload.h"

#define FRAME_MAX (1u << 20) /* bytes that a registry takes as one frame */
#define LIST_MAX (64u << 20) /* bytes of a list that it takes */
#define ENTRY 36             /* bytes of the list for each frame: digest, length */
#define RUN 64u              /* frames that a thread takes at once */
#define THREADS_MAX 16u
#define AT_ONCE_MAX ((guint64)256 << 20) /* bytes of a blob that a registry hashes within a moment, as a rule */
#define TAKE_OVER_BYTES (64u << 10)      /* of an upload that is gone on with: sent before the rest */
#define TAKE_OVER_TRIES 50
#define TAKE_OVER_WAIT (G_USEC_PER_SEC / 10) /* between them */
#define ANSWER_SILENCE 15                    /* seconds that a registry may take to say that it hashes what it has */

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

/* The frames whose bits are set, neighbours joined. */
static GArray *join_missing(const GArray *frames, const guint8 *bits)
{
    GArray *missing = g_array_new(FALSE, FALSE, sizeof(IngotRange));
    for (guint i = 0; i < frames->len; i++) {
        const IngotRange *frame = &g_array_index(frames, IngotRange, i);
        if ((bits[i / 8] & (1u << (i % 8))) != 0) {
            ranges_join(missing, frame->offset, frame->length);
        }
    }
    return missing;
}

/* A list is taken once for each upload: what refuses the second may have taken the first, whose answer was lost. */
static gboolean may_have_taken(const HttpExchange *list)
{
    return list->lost && (list->status == 400 || list->status == 404 || list->status == 409);
}

/* Tells the frames. *missing: those that are, neighbours joined; NULL, and upload->again: another upload is to be told.
 */
static gboolean ask_missing(IngotRemote *remote, Upload *upload, const GArray *frames, const guint8 *list,
                            GArray **missing, GError **error)
{
    static const char *const headers[] = {"Content-Type: application/octet-stream", NULL};
    gsize bits = (frames->len + 7) / 8;
    g_auto(HttpExchange) post = {.method = "POST",
                                 .url = g_strdup(upload->frames),
                                 .headers = headers,
                                 .body = list,
                                 .body_size = (gsize)frames->len * ENTRY,
                                 .fresh = TRUE,
                                 .limit = MAX(bits, UPLOAD_ANSWER_MAX),
                                 .patience = &upload->patience};
    if (!http_exchange(remote, &post, error)) {
        return FALSE;
    }
    upload->again = may_have_taken(&post);
    if (upload->again || post.status != 200) {
        return upload->again || upload_refused(remote, upload, &post, error);
    }
    if (post.answer->len != bits) {
        return failure_set(remote, post.url, INGOT_ERROR_FAILED, error, "the answer does not fit the frames");
    }
    upload_note_write(upload->note, upload->location, post.answer->data, bits);
    *missing = join_missing(frames, post.answer->data);
    return TRUE;
}

static guint64 total_of(const GArray *ranges)
{
    guint64 total = 0;
    for (guint i = 0; i < ranges->len; i++) {
        total += g_array_index(ranges, IngotRange, i).length;
    }
    return total;
}

/* The registry has all of it, and hashes it. */
static gboolean do_meanwhile(Upload *upload, GError **error)
{
    const IngotMeanwhile *meanwhile = g_steal_pointer(&upload->meanwhile);
    upload->left = meanwhile != NULL && !meanwhile->run(meanwhile->user, error);
    return !upload->left;
}

/* Where what is sent stands among the missing bytes. Free it. */
static char *chunk_place(guint64 come, guint64 length)
{
    return g_strdup_printf("Content-Range: %" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT, come, come + length - 1);
}

/* --- how far an upload has come --- */

/* Of the ranges, what lies behind so many bytes of them, at most that many. */
static GArray *ranges_behind(const GArray *ranges, guint64 come, guint64 most)
{
    GArray *rest = g_array_new(FALSE, FALSE, sizeof(IngotRange));
    for (guint i = 0; i < ranges->len && most > 0; i++) {
        IngotRange range = g_array_index(ranges, IngotRange, i);
        guint64 skipped = MIN(come, range.length);
        come -= skipped;
        range.offset += skipped;
        range.length = MIN(range.length - skipped, most);
        most -= range.length;
        if (range.length > 0) {
            g_array_append_val(rest, range);
        }
    }
    return rest;
}

/* How far it has come, if an answer says that. */
static gboolean take_place(Upload *upload, const HttpExchange *exchange, guint64 *come)
{
    if (!upload_told_position(exchange, come)) {
        return FALSE;
    }
    if (*come > upload->most) {
        upload->most = *come;
        patience_renew(&upload->patience);
    }
    return TRUE;
}

static gboolean ask_place(IngotRemote *remote, Upload *upload, guint64 *come, GError **error)
{
    g_auto(HttpExchange) get = {.method = "GET", .url = g_strdup(upload->location), .limit = UPLOAD_ANSWER_MAX};
    if (!http_exchange(remote, &get, error)) {
        return FALSE;
    }
    return get.status == 204 && take_place(upload, &get, come)
               ? upload_take_location(remote, &get, "location", &upload->location, error)
               : http_refused(remote, &get, error);
}

/* Another goes on with it: it is neither gone on with nor dropped here. Always FALSE. */
static gboolean leave(const IngotRemote *remote, Upload *upload, GError **error)
{
    failure_set(remote, upload->location, INGOT_ERROR_FAILED, error, "the upload is another's by now");
    upload_clear(upload);
    return FALSE;
}

/* Sends a little from where it stands, which ends what another connection may still bring. Until then it may come
 * further: *come is where it stands. */
static gboolean take_over(IngotRemote *remote, Upload *upload, int fd, const GArray *missing, guint64 *come,
                          gboolean *done, IngotProgress *progress, GError **error)
{
    g_autoptr(GArray) little = ranges_behind(missing, *come, TAKE_OVER_BYTES);
    guint64 size = total_of(little);
    *done = size == 0;
    if (*done) {
        return TRUE;
    }
    g_autofree char *place = chunk_place(*come, size);
    const char *const headers[] = {"Content-Type: application/octet-stream", place, NULL};
    g_auto(HttpExchange) patch = {.method = "PATCH",
                                  .url = g_strdup(upload->location),
                                  .headers = headers,
                                  .upload_fd = fd,
                                  .upload_size = size,
                                  .upload_ranges = (const IngotRange *)(gpointer)little->data,
                                  .before = *come,
                                  .position = *come,
                                  .progress = progress,
                                  .limit = UPLOAD_ANSWER_MAX};
    if (!upload_send(remote, upload, &patch, error)) {
        return FALSE;
    }
    if (upload->again) {
        return ask_place(remote, upload, come, error);
    }
    if (patch.status == 409) {
        return leave(remote, upload, error);
    }
    *done = patch.status == 202;
    return (patch.status == 202 || patch.status == 416) && take_place(upload, &patch, come)
               ? *done || http_wait(remote, TAKE_OVER_WAIT, error)
               : http_refused(remote, &patch, error);
}

/* Where an upload whose connection has ended stands, and that nothing else goes on with it. FALSE, and no
 * upload->location: something does. */
static gboolean find_place(IngotRemote *remote, Upload *upload, int fd, const GArray *missing, guint64 *come,
                           IngotProgress *progress, GError **error)
{
    gboolean done = FALSE;
    if (!ask_place(remote, upload, come, error)) {
        return FALSE;
    }
    for (guint i = 0; !done && i < TAKE_OVER_TRIES; i++) {
        if (!take_over(remote, upload, fd, missing, come, &done, progress, error)) {
            return FALSE;
        }
    }
    return (done && *come <= total_of(missing)) || leave(remote, upload, error);
}

/* --- the frames --- */

/* Those that are behind so many bytes of the missing ones. *ended: the upload is, too; upload->again: the connection
 * ended before they had all come, perhaps. */
static gboolean put_frames(IngotRemote *remote, Upload *upload, int fd, const IngotDescriptor *blob,
                           const GArray *missing, guint64 come, IngotProgress *progress, gboolean *ended,
                           GError **error)
{
    gboolean at_once = blob->size <= AT_ONCE_MAX && upload->meanwhile == NULL;
    g_autoptr(GArray) ranges = ranges_behind(missing, come, G_MAXUINT64);
    guint64 size = total_of(ranges);
    g_autofree char *place = come == 0 ? NULL : chunk_place(come, size);
    const char *const headers[] = {"Content-Type: application/octet-stream", place, NULL};
    g_auto(HttpExchange) rest = {.method = at_once ? "PUT" : "PATCH",
                                 .url = at_once ? upload_end_url(upload, &blob->digest) : g_strdup(upload->location),
                                 .headers = headers,
                                 .upload_fd = fd,
                                 .upload_size = size,
                                 .upload_ranges = (const IngotRange *)(gpointer)ranges->data,
                                 .before = come,
                                 .position = come,
                                 .progress = progress,
                                 .limit = UPLOAD_ANSWER_MAX,
                                 .silence = ANSWER_SILENCE};
    if (!upload_send(remote, upload, &rest, error)) {
        return FALSE;
    }
    *ended = at_once && rest.status == 201;
    if (upload->again || *ended || http_still_hashes(&rest)) {
        return TRUE;
    }
    return rest.status == 202 ? upload_take_location(remote, &rest, "location", &upload->location, error) &&
                                    do_meanwhile(upload, error)
                              : upload_refused(remote, upload, &rest, error);
}

/* The missing frames, of which so many bytes have come, and the end: in the same request, unless it may take the
 * registry long to hash the blob or there is something to be done meanwhile. Where a connection breaks off, the
 * registry is asked how far it came. */
static gboolean put_missing(IngotRemote *remote, Upload *upload, int fd, const IngotDescriptor *blob,
                            const GArray *missing, guint64 come, IngotProgress *progress, GError **error)
{
    guint64 total = total_of(missing), known = MAX(upload->known, blob->size - total);
    gboolean doubt = FALSE;
    ingot_progress_add(progress, known - upload->known);
    upload->known = known;
    for (gboolean ended = FALSE, all = FALSE; !all && come < total;) {
        GError *problem = NULL;
        if (!put_frames(remote, upload, fd, blob, missing, come, progress, &ended, error)) {
            return FALSE;
        }
        if (ended) {
            return TRUE;
        }
        all = !upload->again;
        doubt |= !all;
        if (all || find_place(remote, upload, fd, missing, &come, progress, &problem)) {
            continue;
        }
        if (failure_ends_all(problem)) {
            g_propagate_error(error, problem);
            return FALSE;
        }
        g_error_free(problem);
        if (upload->location == NULL) {
            upload->again = TRUE;
            return TRUE;
        }
        all = TRUE; /* or none of it: its end shows that */
    }
    return upload_end(remote, upload, blob, doubt, progress, error);
}

/* --- going on with one that was killed --- */

static gboolean put_rest(IngotRemote *remote, Upload *upload, int fd, const IngotDescriptor *blob,
                         const GArray *missing, IngotProgress *progress, guint64 *sent, GError **error)
{
    guint64 come = 0;
    if (!find_place(remote, upload, fd, missing, &come, progress, error)) {
        return FALSE;
    }
    ingot_progress_add(progress, come - MIN(come, upload->counted));
    upload->counted = MAX(upload->counted, come);
    *sent += total_of(missing) - come;
    return put_missing(remote, upload, fd, blob, missing, come, progress, error);
}

/* An upload of the same disk that did not come to its end. TRUE: the push has come to its own, well (*ok) or not. */
static gboolean go_on(IngotRemote *remote, Upload *upload, int fd, const IngotDescriptor *blob, const GArray *frames,
                      IngotProgress *progress, guint64 *sent, gboolean *ok, GError **error)
{
    GError *problem = NULL;
    g_autofree guint8 *bits = NULL;
    if (frames == NULL || !upload_note_read(upload->note, remote, (frames->len + 7) / 8, &upload->location, &bits)) {
        return FALSE;
    }
    g_autoptr(GArray) missing = join_missing(frames, bits);
    upload->frames = g_strdup(upload->location);
    *ok = put_rest(remote, upload, fd, blob, missing, progress, sent, &problem) && !upload->again;
    if (!*ok && (upload->left || failure_ends_all(problem))) {
        g_propagate_error(error, problem);
        return TRUE;
    }
    g_clear_error(&problem);
    upload_note_empty(upload->note);
    upload->refused = 0;
    return *ok;
}

/* *tried FALSE: the registry has to be sent the whole. */
static gboolean put_delta(IngotRemote *remote, Upload *upload, int fd, const char *path, const IngotDescriptor *blob,
                          const GArray *frames, IngotIndex *index, IngotProgress *progress, guint64 *sent,
                          gboolean *tried, GError **error)
{
    *tried = upload->frames != NULL && frames != NULL;
    g_autofree guint8 *list = !*tried ? NULL : list_frames(fd, path, frames, index, error);
    g_autoptr(GArray) missing = NULL;
    if (list == NULL || !ask_missing(remote, upload, frames, list, &missing, error)) {
        return FALSE;
    }
    *sent += (guint64)frames->len * ENTRY;
    if (missing == NULL) {
        return TRUE;
    }
    *sent += total_of(missing);
    return put_missing(remote, upload, fd, blob, missing, 0, progress, error);
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
    return !upload->left && !failure_ends_all(problem);
}

gboolean ingot_remote_put_disk(IngotRemote *remote, const char *name, const char *path, const IngotDescriptor *blob,
                               IngotIndex *index, const IngotMeanwhile *meanwhile, IngotProgress *progress,
                               guint64 *sent, GError **error)
{
    g_auto(Upload) upload = {.name = name, .patience = patience_of(remote->patience), .meanwhile = meanwhile};
    gboolean tried = FALSE, ok;
    guint64 own = 0, *count = sent == NULL ? &own : sent;
    g_autoptr(GArray) frames = find_frames(index, blob->size);
    g_autoptr(GError) problem = NULL;
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDONLY, 0, error);
    if (fd < 0) {
        return FALSE;
    }
    g_autoptr(UploadNote) note = frames == NULL ? NULL : upload_note_open(remote, name, &blob->digest);
    upload.note = note;
    if (go_on(remote, &upload, fd, blob, frames, progress, count, &ok, error)) {
        return ok;
    }
    do {
        if (!upload_begin(remote, &upload, error)) {
            return FALSE;
        }
        ok = put_delta(remote, &upload, fd, path, blob, frames, index, progress, count, &tried, &problem);
    } while (ok && upload.again);
    if (ok || !failure_ends_all(problem)) {
        upload_note_empty(note);
    }
    if (ok) {
        return TRUE;
    }
    if (!may_take_whole(&upload, problem)) {
        return upload_give_up(remote, &upload, g_steal_pointer(&problem), error);
    }
    if (upload.refused == 400) { /* the digests may be why */
        g_clear_pointer(&index->frames, g_array_unref);
    }
    *count += blob->size;
    /* An upload that knows of frames takes nothing else. */
    return upload_put(remote, &upload, fd, blob, !tried, progress, error);
}
