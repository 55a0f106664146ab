#include "server/storage/incoming.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/catalogue/leases.h"
#include "server/catalogue/pieces.h"
#include "server/storage/longsum.h"

#define PIECES_MAX (8u << 20) /* of a blob */
#define LEASE_TIME 3600       /* seconds for which what an idle upload counts on stays */
#define LEASE_RENEW 300
#define LISTED_AT_ONCE 4096u    /* entries of a list that are written at once */
#define BUFFER_MAX (256u << 10) /* bytes of a running piece that wait to learn whether it is new */
#define WRITE_BACK (8u << 20)   /* bytes of new pieces whose way to the disk begins before anybody waits for it */
#define BUFFERS_MAX (32 << 20)  /* bytes that wait so in all uploads */

static gssize waiting; /* atomic: those bytes */

/* --- life --- */

static char *path_of(const Storage *storage, const char *id, const char *suffix)
{
    g_autofree char *name = g_strconcat(id, suffix, NULL);
    return g_build_filename(storage->path, "uploads", name, NULL);
}

static void empty_buffer(Upload *upload)
{
    g_atomic_pointer_add(&waiting, -(gssize)upload->buffer->len);
    g_byte_array_set_size(upload->buffer, 0);
}

/* An upload that waits for its client keeps the room of what it has, not of the most that it has had. */
static void fit_buffer(Upload *upload)
{
    GByteArray *fit = g_byte_array_new();
    g_byte_array_append(fit, upload->buffer->data, upload->buffer->len);
    g_byte_array_unref(upload->buffer);
    upload->buffer = fit;
}

static void begin_piece(Upload *upload)
{
    midsum_begin(&upload->sum);
    empty_buffer(upload);
    upload->length = upload->written = 0;
    upload->splitter.length = 0;
    upload->whole_then = upload->whole;
    upload->splitter_then = upload->splitter;
}

/* What an upload is of which nothing has come. */
static void begin_all(Upload *upload)
{
    upload->size = upload->fresh = upload->checked = upload->kept_size = upload->kept_end = 0;
    upload->under_way = 0;
    upload->offered = upload->complete = upload->refused = upload->changed = FALSE;
    upload->kept_time = storage_now();
    upload->proven = (Proven){0};
    upload->table = table_new();
    upload->own = g_hash_table_new_full(ingot_digest_hash, ingot_digest_equal, g_free, NULL);
    upload->buffer = g_byte_array_new();
    midsum_begin(&upload->whole);
    midsum_begin(&upload->listed);
    splitter_begin(&upload->splitter);
    begin_piece(upload);
}

static void forget_all(Upload *upload)
{
    ingot_fd_clear(&upload->list_fd);
    upload->list_fd = -1;
    if (upload->buffer != NULL) {
        empty_buffer(upload);
    }
    g_clear_pointer(&upload->own, g_hash_table_unref);
    g_clear_pointer(&upload->buffer, g_byte_array_unref);
    g_clear_pointer(&upload->table, table_free);
    g_clear_pointer(&upload->offer, offer_free);
    g_clear_pointer(&upload->sha512, sha512_free); /* of bytes that may not count any more */
    g_clear_pointer(&upload->longsum, longsum_free);
}

Upload *upload_new(Storage *storage, const char *id)
{
    Upload *upload = g_new0(Upload, 1);
    g_atomic_ref_count_init(&upload->references);
    g_mutex_init(&upload->lock);
    upload->storage = storage;
    upload->id = g_strdup(id);
    upload->pack = path_of(storage, id, ".pack");
    upload->list = path_of(storage, id, ".list");
    upload->frames = path_of(storage, id, ".frames");
    upload->pack_fd = upload->list_fd = -1;
    begin_all(upload);
    return upload;
}

void upload_reset(Upload *upload)
{
    forget_all(upload);
    begin_all(upload);
    upload->leased = 0;
    upload->turn = 0;
    g_atomic_pointer_set(&upload->weight, 0);
    g_atomic_pointer_set(&upload->held, 0);
    upload->ready = FALSE;
}

void upload_close(Upload *upload)
{
    ingot_fd_clear(&upload->pack_fd);
    ingot_fd_clear(&upload->list_fd);
    upload->pack_fd = upload->list_fd = -1;
}

void upload_unref(gpointer data)
{
    Upload *upload = data;
    if (upload == NULL || !g_atomic_ref_count_dec(&upload->references)) {
        return;
    }
    forget_all(upload);
    upload_close(upload);
    g_mutex_clear(&upload->lock);
    g_free(upload->id);
    g_free(upload->pack);
    g_free(upload->list);
    g_free(upload->frames);
    g_free(upload->name);
    g_free(upload->user);
    g_free(upload);
}

/* A crash, or a commit that broke off, came between the put and the end of the upload. */
gboolean upload_is_pack(const Upload *upload)
{
    struct stat st;
    return fstat(upload->pack_fd, &st) != 0 || st.st_nlink != 1;
}

static const char *list_of(const Upload *upload)
{
    return upload->offered ? upload->frames : upload->list;
}

static gboolean open_pack(Upload *upload, int flags, GError **error)
{
    if (upload->pack_fd < 0) {
        upload->pack_fd = ingot_file_open(upload->pack, O_RDWR | flags, 0600, error);
        if (upload->pack_fd >= 0 && upload_is_pack(upload)) {
            upload_close(upload);
            return blob_unknown(error, "the upload");
        }
    }
    return upload->pack_fd >= 0;
}

gboolean upload_open_pack(Upload *upload, GError **error)
{
    return open_pack(upload, 0, error);
}

gboolean upload_open(Upload *upload, int flags, GError **error)
{
    if (!open_pack(upload, flags, error)) {
        return FALSE;
    }
    if (upload->list_fd < 0 && !upload->brief) {
        upload->list_fd = ingot_file_open(list_of(upload), O_RDWR | flags, 0600, error);
    }
    return upload->list_fd >= 0 || upload->brief;
}

/* --- bytes that come --- */

static gboolean write_data(Upload *upload, const void *data, gsize size, guint64 at, GError **error)
{
    return ingot_file_pwrite(upload->pack_fd, data, size, SEGMENT_HEAD + at, upload->pack, error);
}

/* The disk works while more comes, so that the flush that keeps it has little left to do. It is no flush: where it
 * fails, that one tells. */
static void write_back(Upload *upload)
{
    guint64 end = upload->fresh + upload->written;
    if (end >= upload->under_way + WRITE_BACK) {
        sync_file_range(upload->pack_fd, (off_t)(SEGMENT_HEAD + upload->under_way), (off_t)(end - upload->under_way),
                        SYNC_FILE_RANGE_WRITE);
        upload->under_way = end;
    }
}

static gboolean write_on(Upload *upload, const void *data, gsize size, GError **error)
{
    if (!write_data(upload, data, size, upload->fresh + upload->written, error)) {
        return FALSE;
    }
    upload->written += (guint32)size;
    write_back(upload);
    return TRUE;
}

gboolean upload_flush(Upload *upload, GError **error)
{
    if (!write_on(upload, upload->buffer->data, upload->buffer->len, error)) {
        return FALSE;
    }
    empty_buffer(upload);
    return TRUE;
}

/* Bytes of the running piece. Those of a frame that the client was told is missing are written at once. */
static gboolean put_bytes(Upload *upload, const guint8 *data, gsize size, gboolean ends, GError **error)
{
    if (upload->offer != NULL) {
        return write_on(upload, data, size, error);
    }
    g_byte_array_append(upload->buffer, data, (guint)size);
    gssize before = g_atomic_pointer_add(&waiting, (gssize)size);
    gboolean full = upload->buffer->len > BUFFER_MAX || before + (gssize)size > BUFFERS_MAX;
    return ends || !full || upload_flush(upload, error);
}

gboolean upload_hold(Upload *upload, GError **error)
{
    gint64 now = storage_now();
    Change change;
    if (now >= upload->leased && now < upload->leased + LEASE_RENEW) {
        return TRUE;
    }
    if (!change_begin(upload->storage, &change, error) ||
        !change_end(&change, leases_hold(change.writer, upload->id, now, now + LEASE_TIME, error), error)) {
        return FALSE;
    }
    upload->leased = now;
    return TRUE;
}

static gboolean find_piece(Upload *upload, const IngotDigest *digest, PieceRow *row, GError **error)
{
    g_autoptr(Connection) reader = database_reader(upload->storage->catalogue, error);
    return reader != NULL && pieces_find(reader, &digest, 1, row, error);
}

/* Whether the piece is here already: in this upload, or in the catalogue and really in its pack. Without a lease what
 * was found may be marked and go meanwhile, so that it is looked for again when there is one. */
static gboolean is_known(Upload *upload, const IngotDigest *digest, gboolean *known, GError **error)
{
    PieceRow row;
    *known = g_hash_table_contains(upload->own, digest);
    if (*known) {
        return TRUE;
    }
    if (!find_piece(upload, digest, &row, error)) {
        return FALSE;
    }
    if (pieces_is_whole(&row, upload->length) &&
        (!upload_hold(upload, error) || !find_piece(upload, digest, &row, error))) {
        return FALSE;
    }
    return !pieces_is_whole(&row, upload->length) || proof_holds(upload->storage, digest, &row, known, error);
}

/* A frame that was missing has come. */
static gboolean end_frame(Upload *upload, const IngotDigest *digest, GError **error)
{
    if (!offer_got(upload->offer, digest, error)) {
        return FALSE;
    }
    upload->fresh += upload->length;
    begin_piece(upload);
    offer_hash_on(upload->offer);
    return TRUE;
}

static gboolean write_entry(Upload *upload, guint at, const UploadEntry *entry, GError **error)
{
    return ingot_file_pwrite(upload->list_fd, entry, sizeof *entry, (guint64)at * sizeof *entry, list_of(upload),
                             error);
}

void upload_add_piece(Upload *upload, const IngotDigest *digest, guint32 length, gboolean fresh)
{
    table_add(upload->table, digest, length, fresh);
    if (fresh) {
        UploadOwn own = {.digest = *digest, .offset = upload->fresh};
        g_hash_table_add(upload->own, g_memdup2(&own, sizeof own));
        upload->fresh += length;
    }
}

gboolean upload_end_piece(Upload *upload, GError **error)
{
    IngotDigest digest;
    gboolean known;
    midsum_digest(&upload->sum, &digest);
    /* What it counts on stays for as long as bytes come. */
    if (upload->leased != 0 && !upload_hold(upload, error)) {
        return FALSE;
    }
    if (upload->offer != NULL) {
        return end_frame(upload, &digest, error);
    }
    if (!is_known(upload, &digest, &known, error) || (!known && !upload_flush(upload, error))) {
        return FALSE;
    }
    if (upload->table->pieces->len >= PIECES_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT, "a blob may have %u pieces", PIECES_MAX);
        return FALSE;
    }
    if (!upload->brief) {
        UploadEntry entry = {.digest = digest, .length = GUINT32_TO_LE(upload->length), .fresh = GUINT32_TO_LE(!known)};
        if (!write_entry(upload, upload->table->pieces->len, &entry, error)) {
            return FALSE;
        }
        midsum_add(&upload->listed, &entry, sizeof entry);
    }
    upload_add_piece(upload, &digest, upload->length, !known);
    begin_piece(upload);
    return TRUE;
}

/* Where the running piece ends: where the blob is cut, or where the client said that the frame does. */
static gsize take(Upload *upload, const guint8 *data, gsize size, gboolean *ends)
{
    return upload->offer == NULL ? splitter_take(&upload->splitter, data, size, ends)
                                 : offer_take(upload->offer, size, ends);
}

gboolean upload_take(Upload *upload, const guint8 *data, gsize size, GError **error)
{
    upload->changed |= size > 0;
    while (size > 0) {
        gboolean ends;
        gsize count = take(upload, data, size, &ends);
        if (count == 0) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "more bytes came than were missing");
            return FALSE;
        }
        midsum_add(&upload->sum, data, count);
        if (upload->offer == NULL) { /* else it is worked out in the end, when all frames are there */
            midsum_add(&upload->whole, data, count);
        }
        if (upload->sha512 != NULL) {
            sha512_add(upload->sha512, data, count);
        }
        if (!put_bytes(upload, data, count, ends, error)) {
            return FALSE;
        }
        upload->length += (guint32)count;
        upload->size += count;
        if (ends && !upload_end_piece(upload, error)) {
            return FALSE;
        }
        data += count;
        size -= count;
    }
    fit_buffer(upload);
    return TRUE;
}

/* --- an offer's list --- */

static gboolean list_some(Upload *upload, guint at, UploadEntry *entries, guint count, GError **error)
{
    for (guint i = 0; i < count; i++) {
        const Piece *piece = table_piece(offer_table(upload->offer), at + i);
        entries[i] = (UploadEntry){.digest = piece->digest,
                                   .length = GUINT32_TO_LE(piece->length),
                                   .fresh = GUINT32_TO_LE(piece->fresh ? 1 : 0)};
    }
    midsum_add(&upload->listed, entries, count * sizeof *entries);
    return ingot_file_pwrite(upload->list_fd, entries, count * sizeof *entries, (guint64)at * sizeof *entries,
                             upload->frames, error);
}

gboolean upload_list_frames(Upload *upload, GError **error)
{
    guint frames = offer_count(upload->offer);
    upload->offered = upload->changed = TRUE;
    if (upload->brief) {
        return TRUE;
    }
    ingot_fd_clear(&upload->list_fd);
    upload->list_fd = -1;
    unlink(upload->list);
    midsum_begin(&upload->listed);
    if (!upload_open(upload, O_CREAT | O_TRUNC, error)) {
        return FALSE;
    }
    g_autofree UploadEntry *entries = g_new(UploadEntry, LISTED_AT_ONCE);
    for (guint at = 0; at < frames; at += LISTED_AT_ONCE) {
        if (!list_some(upload, at, entries, MIN(LISTED_AT_ONCE, frames - at), error)) {
            return FALSE;
        }
    }
    return TRUE;
}
