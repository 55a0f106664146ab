#include "server/storage/incoming.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/catalogue/leases.h"
#include "server/catalogue/pieces.h"

#define PIECES_MAX (8u << 20) /* of a blob */
#define LEASE_TIME 3600       /* seconds for which what an idle upload counts on stays */
#define LEASE_RENEW 300
#define BUFFER_MAX (256u << 10) /* bytes of a running piece that wait to learn whether it is new */

/* A new piece of an upload, and where it stands among them. */
typedef struct {
    IngotDigest digest; /* first: the key */
    guint64 offset;
} Own;

/* An entry of ID.list. */
typedef struct {
    IngotDigest digest;
    guint32 length, fresh;
} __attribute__((packed)) Entry;

/* --- life --- */

static char *path_of(const Storage *storage, const char *id, const char *suffix)
{
    g_autofree char *name = g_strconcat(id, suffix, NULL);
    return g_build_filename(storage->path, "uploads", name, NULL);
}

static void begin_piece(Upload *upload)
{
    g_clear_pointer(&upload->hasher, ingot_hasher_free);
    upload->hasher = ingot_hasher_new();
    g_byte_array_set_size(upload->buffer, 0);
    upload->length = upload->written = 0;
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
    upload->pack_fd = upload->list_fd = -1;
    upload->whole = ingot_hasher_new();
    upload->table = table_new();
    upload->own = g_hash_table_new_full(ingot_digest_hash, ingot_digest_equal, g_free, NULL);
    upload->buffer = g_byte_array_new();
    splitter_begin(&upload->splitter);
    begin_piece(upload);
    return upload;
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
    upload_close(upload);
    g_hash_table_unref(upload->own);
    g_byte_array_unref(upload->buffer);
    table_free(upload->table);
    offer_free(upload->offer);
    ingot_hasher_free(upload->hasher);
    ingot_hasher_free(upload->whole);
    g_mutex_clear(&upload->lock);
    g_free(upload->id);
    g_free(upload->pack);
    g_free(upload->list);
    g_free(upload);
}

/* A file that is a pack too is never written to: a crash came between the put and the end of its upload. */
static gboolean is_pack(int fd)
{
    struct stat st;
    return fstat(fd, &st) != 0 || st.st_nlink != 1;
}

gboolean upload_open(Upload *upload, int flags, GError **error)
{
    if (upload->pack_fd < 0) {
        upload->pack_fd = ingot_file_open(upload->pack, O_RDWR | flags, 0600, error);
        if (upload->pack_fd >= 0 && is_pack(upload->pack_fd)) {
            upload_close(upload);
            unlink(upload->list);
            unlink(upload->pack);
            return blob_unknown(error, "the upload");
        }
    }
    if (upload->pack_fd >= 0 && upload->list_fd < 0 && upload->offer == NULL) {
        upload->list_fd = ingot_file_open(upload->list, O_RDWR | flags, 0600, error);
    }
    return upload->pack_fd >= 0 && (upload->list_fd >= 0 || upload->offer != NULL);
}

/* --- bytes that come --- */

static gboolean write_data(Upload *upload, const void *data, gsize size, guint64 at, GError **error)
{
    return ingot_file_pwrite(upload->pack_fd, data, size, SEGMENT_HEAD + at, upload->pack, error);
}

static gboolean flush_buffer(Upload *upload, GError **error)
{
    if (!write_data(upload, upload->buffer->data, upload->buffer->len, upload->fresh + upload->written, error)) {
        return FALSE;
    }
    upload->written += upload->buffer->len;
    g_byte_array_set_size(upload->buffer, 0);
    return TRUE;
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
    if (!flush_buffer(upload, error) || !offer_got(upload->offer, digest, error)) {
        return FALSE;
    }
    upload->fresh += upload->length;
    begin_piece(upload);
    offer_hash_on(upload->offer);
    return TRUE;
}

gboolean upload_end_piece(Upload *upload, GError **error)
{
    IngotDigest digest;
    gboolean known;
    ingot_hasher_finish(upload->hasher, &digest);
    if (upload->offer != NULL) {
        return end_frame(upload, &digest, error);
    }
    if (!is_known(upload, &digest, &known, error) || (!known && !flush_buffer(upload, error))) {
        return FALSE;
    }
    if (upload->table->pieces->len >= PIECES_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED, "a blob may have %u pieces", PIECES_MAX);
        return FALSE;
    }
    Entry entry = {.digest = digest, .length = GUINT32_TO_LE(upload->length), .fresh = GUINT32_TO_LE(!known)};
    if (!ingot_file_pwrite(upload->list_fd, &entry, sizeof entry, upload->table->pieces->len * sizeof entry,
                           upload->list, error)) {
        return FALSE;
    }
    table_add(upload->table, &digest, upload->length, !known);
    if (!known) {
        Own own = {.digest = digest, .offset = upload->fresh};
        g_hash_table_add(upload->own, g_memdup2(&own, sizeof own));
        upload->fresh += upload->length;
    }
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
    while (size > 0) {
        gboolean ends;
        gsize count = take(upload, data, size, &ends);
        if (count == 0) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "more bytes came than were missing");
            return FALSE;
        }
        ingot_hasher_add(upload->hasher, data, count);
        if (upload->offer == NULL) { /* else it is worked out in the end, when all frames are there */
            ingot_hasher_add(upload->whole, data, count);
        }
        g_byte_array_append(upload->buffer, data, (guint)count);
        upload->length += (guint32)count;
        upload->size += count;
        if (ends ? !upload_end_piece(upload, error)
                 : upload->buffer->len > BUFFER_MAX && !flush_buffer(upload, error)) {
            return FALSE;
        }
        data += count;
        size -= count;
    }
    return TRUE;
}

/* --- going on after a restart --- */

/* The bytes of an entry: out of the file of the upload, where new ones go on at `fresh`, or of the piece that was
 * there. */
static gboolean read_entry(Upload *upload, const Entry *entry, guint64 fresh, guint8 *data, GError **error)
{
    guint32 length = GUINT32_FROM_LE(entry->length);
    const Own *own = g_hash_table_lookup(upload->own, &entry->digest);
    if (entry->fresh != 0 || own != NULL) {
        guint64 at = SEGMENT_HEAD + (entry->fresh != 0 ? fresh : own->offset);
        return ingot_file_pread(upload->pack_fd, data, length, at, upload->pack, error);
    }
    PieceRow row;
    if (!find_piece(upload, &entry->digest, &row, error)) {
        return FALSE;
    }
    if (row.id == 0) {
        return blob_unknown(error, "a piece that the upload counted on");
    }
    g_autoptr(Pack) pack = packs_get(upload->storage->packs, row.pack, error);
    return pack != NULL && pack_read(pack, row.offset, data, length, error);
}

/* What was new to the upload when it rested may be known by now: its own file then has room for what comes behind it,
 * which moves there, never beyond the place it comes from. */
static gboolean recover_piece(Upload *upload, const Entry *entry, guint64 *fresh, guint8 *data)
{
    IngotDigest found;
    guint32 length = GUINT32_FROM_LE(entry->length);
    if (length == 0 || length > PIECE_MAX || !read_entry(upload, entry, *fresh, data, NULL)) {
        return FALSE;
    }
    ingot_digest_of(data, length, &found);
    *fresh += entry->fresh != 0 ? length : 0;
    return ingot_digest_equal(&found, &entry->digest) && upload_take(upload, data, length, NULL) && upload->length == 0;
}

/* Takes in again what the list tells, up to the first entry that is not as it says. */
gboolean upload_recover(Upload *upload, GError **error)
{
    g_autofree guint8 *data = g_malloc(PIECE_MAX);
    Entry entry;
    guint64 fresh = 0;
    if (!upload_open(upload, 0, error)) {
        return FALSE;
    }
    for (guint i = 0; pread(upload->list_fd, &entry, sizeof entry, i * sizeof entry) == sizeof entry; i++) {
        if (!recover_piece(upload, &entry, &fresh, data)) {
            break;
        }
    }
    upload->rests = FALSE;
    return ftruncate(upload->list_fd, (off_t)(upload->table->pieces->len * sizeof entry)) == 0 ||
           ingot_error_set_errno(error, errno, "%s", upload->list);
}
