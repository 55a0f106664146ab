#include "server/storage/offer.h"

#include <ingot/error.h>
#include <string.h>

#include "server/catalogue/pieces.h"

#define ENTRY 36   /* bytes: digest, length */
#define BATCH 4096 /* frames that are looked up at once */

struct Offer {
    Table *table;
    GHashTable *first; /* digest -> itself: frames that the list had already */
    guint next;        /* the missing frame that comes */
    guint32 come;      /* bytes of it that have */
};

void offer_free(Offer *offer)
{
    if (offer != NULL) {
        table_free(offer->table);
        g_hash_table_unref(offer->first);
        g_free(offer);
    }
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Offer, offer_free)

/* --- what the caller may know of --- */

static void set_pieces(GByteArray *seen, sqlite3_stmt *rows)
{
    while (database_step(rows, NULL)) {
        const guint32 *pieces = sqlite3_column_blob(rows, 0);
        guint count = (guint)sqlite3_column_bytes(rows, 0) / (guint)sizeof *pieces;
        for (guint i = 0; i < count; i++) {
            guint32 piece = GUINT32_FROM_LE(pieces[i]);
            if (piece / 8 < seen->len) {
                seen->data[piece / 8] |= (guint8)(1u << (piece % 8));
            }
        }
    }
}

/* A bit for each piece that is in a repository that the caller may pull from; NULL: an error. */
static GByteArray *list_seen(Connection *reader, StorageMaySee may_see, gpointer user, GError **error)
{
    gint64 highest;
    g_autoptr(GByteArray) seen = g_byte_array_new();
    if (!database_number(reader, &highest, 0, error, "SELECT max(id) FROM pieces", "")) {
        return NULL;
    }
    g_byte_array_set_size(seen, (guint)(highest / 8 + 1));
    memset(seen->data, 0, seen->len);
    g_autoptr(sqlite3_stmt) repositories = database_query(reader, "SELECT id, name FROM repositories", "");
    GError *problem = NULL;
    while (database_step(repositories, &problem)) {
        if (may_see((const char *)sqlite3_column_text(repositories, 1), user)) {
            g_autoptr(sqlite3_stmt) rows =
                database_query(reader, "SELECT pieces FROM links JOIN blobs ON blobs.id=blob WHERE repository=?", "i",
                               sqlite3_column_int64(repositories, 0));
            set_pieces(seen, rows);
        }
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return g_steal_pointer(&seen);
}

static gboolean is_seen(const GByteArray *seen, gint64 piece)
{
    return seen == NULL || (piece / 8 < seen->len && (seen->data[piece / 8] & (1u << (piece % 8))) != 0);
}

/* --- the list --- */

static guint32 length_of(const guint8 *entry)
{
    guint32 length;
    memcpy(&length, entry + INGOT_DIGEST_SIZE, sizeof length);
    return GUINT32_FROM_LE(length);
}

/* The blob that the frames make is no larger than a blob may be. */
static gboolean check_sum(const Storage *storage, const guint8 *frames, gsize size, GError **error)
{
    guint64 sum = 0;
    for (gsize at = 0; at < size; at += ENTRY) {
        sum += length_of(frames + at);
    }
    if (storage->limits.blob > 0 && sum > storage->limits.blob) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED, "larger than this registry takes");
        return FALSE;
    }
    return TRUE;
}

static gboolean is_list(const guint8 *frames, gsize size)
{
    for (gsize at = 0; at + ENTRY <= size; at += ENTRY) {
        guint32 length = length_of(frames + at);
        if (length == 0 || length > PIECE_MAX) {
            return FALSE;
        }
    }
    return size > 0 && size % ENTRY == 0;
}

static void add_frame(Offer *offer, const IngotDigest *digest, guint32 length, const PieceRow *row,
                      const GByteArray *seen)
{
    gboolean again = g_hash_table_contains(offer->first, digest);
    if (!again) {
        g_hash_table_add(offer->first, g_memdup2(digest, sizeof *digest));
    }
    table_add(offer->table, digest, length, !again && (!pieces_is_whole(row, length) || !is_seen(seen, row->id)));
}

/* The frames of a part of the list, looked up at once. */
static gboolean add_frames(Offer *offer, Connection *reader, const guint8 *entries, guint count, const GByteArray *seen,
                           GError **error)
{
    g_autofree IngotDigest *digests = g_new(IngotDigest, count);
    g_autofree const IngotDigest **wanted = g_new(const IngotDigest *, count);
    g_autofree PieceRow *rows = g_new(PieceRow, count);
    for (guint i = 0; i < count; i++) {
        memcpy(digests[i].bytes, entries + (gsize)i * ENTRY, sizeof digests[i].bytes);
        wanted[i] = &digests[i];
    }
    if (!pieces_find(reader, wanted, count, rows, error)) {
        return FALSE;
    }
    for (guint i = 0; i < count; i++) {
        add_frame(offer, &digests[i], length_of(entries + (gsize)i * ENTRY), &rows[i], seen);
    }
    return TRUE;
}

static void skip_known(Offer *offer)
{
    while (offer->next < offer->table->pieces->len && !table_piece(offer->table, offer->next)->fresh) {
        offer->next++;
    }
}

Offer *offer_new(Storage *storage, const void *frames, gsize size, StorageMaySee may_see, gpointer user,
                 GByteArray *missing, GError **error)
{
    const guint8 *list = frames;
    if (!is_list(list, size)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "malformed frame list");
        return NULL;
    }
    if (!check_sum(storage, list, size, error)) {
        return NULL;
    }
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    g_autoptr(GByteArray) seen = reader == NULL || may_see == NULL ? NULL : list_seen(reader, may_see, user, error);
    if (reader == NULL || (may_see != NULL && seen == NULL)) {
        return NULL;
    }
    g_autoptr(Offer) offer = g_new0(Offer, 1);
    offer->table = table_new();
    offer->first = g_hash_table_new_full(ingot_digest_hash, ingot_digest_equal, g_free, NULL);
    guint count = (guint)(size / ENTRY);
    g_byte_array_set_size(missing, (count + 7) / 8);
    memset(missing->data, 0, missing->len);
    for (guint i = 0; i < count; i += BATCH) {
        if (!add_frames(offer, reader, list + (gsize)i * ENTRY, MIN(BATCH, count - i), seen, error)) {
            return NULL;
        }
    }
    for (guint i = 0; i < count; i++) {
        if (table_piece(offer->table, i)->fresh) {
            missing->data[i / 8] |= (guint8)(1u << (i % 8));
        }
    }
    skip_known(offer);
    return g_steal_pointer(&offer);
}

/* --- frames that come --- */

gsize offer_take(Offer *offer, gsize size, gboolean *ends)
{
    *ends = FALSE;
    if (offer->next == offer->table->pieces->len) {
        return 0;
    }
    guint32 length = table_piece(offer->table, offer->next)->length;
    gsize count = MIN(size, length - offer->come);
    offer->come += (guint32)count;
    *ends = offer->come == length;
    return count;
}

gboolean offer_got(Offer *offer, const IngotDigest *digest, GError **error)
{
    if (!ingot_digest_equal(digest, &table_piece(offer->table, offer->next)->digest)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "a frame does not have the digest that was told");
        return FALSE;
    }
    offer->next++;
    offer->come = 0;
    skip_known(offer);
    return TRUE;
}

/* --- the whole --- */

/* Where a frame's bytes are. */
typedef struct {
    int fd; /* -1: in a pack */
    const char *path;
    Pack *pack;
    guint64 offset;
} Source;

static void source_free(gpointer data)
{
    pack_unref(((Source *)data)->pack);
    g_free(data);
}

/* A pack stays open while its pieces are read. */
static gboolean find_source(Storage *storage, Connection *reader, const Piece *piece, Source *source, GError **error)
{
    const IngotDigest *digest = &piece->digest;
    PieceRow row;
    if (!pieces_find(reader, &digest, 1, &row, error)) {
        return FALSE;
    }
    if (row.id == 0) {
        return blob_unknown(error, "a frame that was here");
    }
    source->pack = packs_get(storage->packs, row.pack, error);
    source->offset = row.offset;
    return source->pack != NULL;
}

/* digest -> Source of each frame. */
static GHashTable *find_sources(const Offer *offer, Storage *storage, int fd, const char *path, GError **error)
{
    g_autoptr(GHashTable) sources = g_hash_table_new_full(ingot_digest_hash, ingot_digest_equal, NULL, source_free);
    guint64 fresh = SEGMENT_HEAD;
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    for (guint i = 0; reader != NULL && i < offer->table->pieces->len; i++) {
        const Piece *piece = table_piece(offer->table, i);
        if (g_hash_table_contains(sources, &piece->digest)) {
            continue;
        }
        Source *source = g_new0(Source, 1);
        g_hash_table_insert(sources, (gpointer)&piece->digest, source);
        *source = (Source){.fd = fd, .path = path, .offset = fresh};
        fresh += piece->fresh ? piece->length : 0;
        if (!piece->fresh && !find_source(storage, reader, piece, source, error)) {
            return NULL;
        }
    }
    return reader == NULL ? NULL : g_steal_pointer(&sources);
}

static gboolean read_frame(const Source *source, const Piece *piece, guint8 *data, GError **error)
{
    return source->pack == NULL ? ingot_file_pread(source->fd, data, piece->length, source->offset, source->path, error)
                                : ingot_file_pread(pack_fd(source->pack), data, piece->length, source->offset,
                                                   pack_path(source->pack), error);
}

static gboolean hash_all(const Offer *offer, GHashTable *sources, GError **error)
{
    g_autoptr(IngotHasher) whole = ingot_hasher_new();
    g_autofree guint8 *data = g_malloc(PIECE_MAX);
    Table *table = offer->table;
    for (guint i = 0; i < table->pieces->len; i++) {
        const Piece *piece = table_piece(table, i);
        if (!read_frame(g_hash_table_lookup(sources, &piece->digest), piece, data, error)) {
            return FALSE;
        }
        ingot_hasher_add(whole, data, piece->length);
        table->size += piece->length;
    }
    ingot_hasher_finish(whole, &table->blob);
    return TRUE;
}

/* Whether every frame that counted as here is what its digest says; one that is not is noted. */
static gboolean check_known(const Offer *offer, Storage *storage, GHashTable *sources, GError **error)
{
    g_autofree guint8 *data = g_malloc(PIECE_MAX);
    for (guint i = 0; i < offer->table->pieces->len; i++) {
        const Piece *piece = table_piece(offer->table, i);
        const Source *source = g_hash_table_lookup(sources, &piece->digest);
        IngotDigest found;
        if (source->pack == NULL || !read_frame(source, piece, data, NULL)) {
            continue;
        }
        ingot_digest_of(data, piece->length, &found);
        if (!ingot_digest_equal(&found, &piece->digest)) {
            blob_damaged(storage, &piece->digest, pack_number(source->pack), source->offset);
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "a frame that was here is damaged");
            return FALSE;
        }
    }
    return TRUE;
}

Table *offer_complete(Offer *offer, Storage *storage, const IngotDigest *wanted, int fd, const char *path,
                      GError **error)
{
    if (offer->next != offer->table->pieces->len) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "frames that are missing have not come");
        return NULL;
    }
    g_autoptr(GHashTable) sources = find_sources(offer, storage, fd, path, error);
    if (sources == NULL || !hash_all(offer, sources, error)) {
        return NULL;
    }
    /* A wrong digest may be the client's mistake, or a damaged frame of ours: that is worth a second look. */
    return ingot_digest_equal(&offer->table->blob, wanted) || check_known(offer, storage, sources, error)
               ? g_steal_pointer(&offer->table)
               : NULL;
}
