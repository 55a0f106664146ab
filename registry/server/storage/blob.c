/* Blobs as readers see them: a list of places, each a piece's run of a pack.
 *
 * A piece's bytes are checked against its digest before the first of them is given out, and again when somebody has
 * written to its pack since; in between they go from the file to the client as they are. */
#include <ingot/error.h>
#include <ingot/file.h>
#include <string.h>

#include "server/catalogue/pieces.h"
#include "server/packs/splitter.h"
#include "server/storage/inside.h"

#define KEPT_MAX (24u << 20) /* bytes of places that are kept */
#define OVERHEAD 256         /* bytes of tables and the like for each blob that is kept, about */

typedef struct {
    guint64 start;  /* in the blob */
    guint64 offset; /* in the pack */
    guint32 length;
    guint32 pack;       /* which of the blob's */
    gint generation;    /* of the pack, when the bytes were found whole; 0: not yet (atomic) */
    IngotDigest digest; /* kept here: the catalogue may have let go of the piece while the blob is still read */
} Place;

struct StorageBlob {
    gatomicrefcount references;
    Storage *storage;
    IngotDigest digest;
    gboolean damaged; /* a piece is known to be */
    gint64 lost;      /* a pack that is missing; 0: none */
    guint64 size;
    guint count;
    Place *places;
    GPtrArray *packs; /* of Pack */
    GList link;       /* in storage->recent, which holds a reference */
};

StorageBlob *storage_blob_ref(StorageBlob *blob)
{
    g_atomic_ref_count_inc(&blob->references);
    return blob;
}

void storage_blob_unref(StorageBlob *blob)
{
    if (blob != NULL && g_atomic_ref_count_dec(&blob->references)) {
        g_ptr_array_unref(blob->packs);
        g_free(blob->places);
        g_free(blob);
    }
}

guint64 storage_blob_size(const StorageBlob *blob)
{
    return blob->size;
}

gboolean storage_blob_damaged(const StorageBlob *blob)
{
    return blob->damaged;
}

gboolean blob_unknown(GError **error, const char *what)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s is not known here", what);
    return FALSE;
}

void blob_damaged(Storage *storage, const IngotDigest *piece, gint64 pack, guint64 offset)
{
    g_mutex_lock(&storage->stats_lock);
    storage->stats.damage_found++;
    g_mutex_unlock(&storage->stats_lock);
    Change change;
    if (change_begin(storage, &change, NULL)) {
        change.moved = TRUE;
        change_end(&change,
                   database_run(change.writer, NULL,
                                "UPDATE pieces SET damaged=1 WHERE digest=? AND pack=? AND offset=?", "dii", piece,
                                pack, (gint64)offset),
                   NULL);
    }
}

void blob_pack_lost(Storage *storage, gint64 pack)
{
    guint64 whole = 0;
    {
        g_autoptr(Connection) reader = database_reader(storage->catalogue, NULL);
        if (reader == NULL || !pieces_whole_of(reader, pack, &whole, NULL) || whole == 0) {
            return; /* it is known */
        }
    }
    Change change;
    if (!change_begin(storage, &change, NULL)) {
        return;
    }
    change.moved = TRUE;
    if (change_end(&change, pieces_damage_pack(change.writer, pack, NULL), NULL)) {
        g_autofree char *path = packs_path(storage->packs, pack);
        g_warning("%s: missing, with %" G_GUINT64_FORMAT " pieces: `ingotd scrub` names the images that need them",
                  path, whole);
        g_mutex_lock(&storage->stats_lock);
        storage->stats.damage_found += whole;
        g_mutex_unlock(&storage->stats_lock);
    }
}

/* --- finding --- */

static gsize cost(const StorageBlob *blob)
{
    return sizeof *blob + OVERHEAD + blob->count * sizeof(Place);
}

/* Which of the blob's packs has that number. */
static gboolean find_pack(StorageBlob *blob, GHashTable *known, gint64 number, guint32 *which, GError **error)
{
    gpointer found;
    if (g_hash_table_lookup_extended(known, GSIZE_TO_POINTER((gsize)number), NULL, &found)) {
        *which = GPOINTER_TO_UINT(found);
        return TRUE;
    }
    Pack *pack = packs_get(blob->storage->packs, number, error);
    if (pack == NULL) {
        blob->lost = number;
        return FALSE;
    }
    *which = blob->packs->len;
    g_ptr_array_add(blob->packs, pack);
    g_hash_table_insert(known, GSIZE_TO_POINTER((gsize)number), GUINT_TO_POINTER(*which));
    return TRUE;
}

static gboolean add_places(StorageBlob *blob, Connection *reader, const guint32 *ids, GError **error)
{
    g_autoptr(GHashTable) known = g_hash_table_new(NULL, NULL);
    guint64 start = 0;
    for (guint i = 0; i < blob->count; i++) {
        Place *place = &blob->places[i];
        g_autoptr(sqlite3_stmt) row =
            database_query(reader, "SELECT pack, offset, length, damaged, digest FROM pieces WHERE id=?", "i",
                           (gint64)GUINT32_FROM_LE(ids[i]));
        if (!database_step(row, error)) {
            return error != NULL && *error != NULL ? FALSE : blob_unknown(error, "a piece of the blob");
        }
        *place = (Place){.start = start,
                         .offset = (guint64)sqlite3_column_int64(row, 1),
                         .length = (guint32)sqlite3_column_int64(row, 2)};
        start += place->length;
        blob->damaged |= sqlite3_column_int64(row, 3) != 0;
        if (place->length == 0 || place->length > PIECE_MAX || !database_digest(row, 4, &place->digest) ||
            !find_pack(blob, known, sqlite3_column_int64(row, 0), &place->pack, error)) {
            return FALSE;
        }
    }
    return start == blob->size;
}

static gboolean fill(StorageBlob *blob, Connection *reader, GError **error)
{
    g_autoptr(sqlite3_stmt) row =
        database_query(reader, "SELECT size, pieces FROM blobs WHERE digest=? AND sum=row_sum(digest, size, pieces)",
                       "d", &blob->digest);
    if (!database_step(row, error)) {
        return error != NULL && *error != NULL ? FALSE : blob_unknown(error, "the blob");
    }
    blob->size = (guint64)sqlite3_column_int64(row, 0);
    blob->count = (guint)sqlite3_column_bytes(row, 1) / sizeof(guint32);
    blob->places = g_new(Place, blob->count + 1);
    const guint32 *ids = sqlite3_column_blob(row, 1);
    if (add_places(blob, reader, ids, error)) {
        return TRUE;
    }
    if (error != NULL && *error == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "the catalogue's entry of a blob is damaged");
    }
    return FALSE;
}

static StorageBlob *find_kept(Storage *storage, const IngotDigest *digest, guint *epoch)
{
    g_mutex_lock(&storage->blobs_lock);
    *epoch = storage->blobs_epoch;
    StorageBlob *blob = g_hash_table_lookup(storage->blobs, digest);
    if (blob != NULL) {
        g_queue_unlink(&storage->recent, &blob->link);
        g_queue_push_head_link(&storage->recent, &blob->link);
        storage_blob_ref(blob);
    }
    g_mutex_unlock(&storage->blobs_lock);
    return blob;
}

/* The one that was used longest ago goes. Under the lock. */
static void drop_last(Storage *storage)
{
    StorageBlob *last = g_queue_pop_tail_link(&storage->recent)->data;
    storage->blobs_size -= cost(last);
    g_hash_table_remove(storage->blobs, &last->digest);
    storage_blob_unref(last);
}

/* Unless places have changed since they were read. */
static void keep(Storage *storage, StorageBlob *blob, guint epoch)
{
    g_mutex_lock(&storage->blobs_lock);
    if (storage->blobs_epoch == epoch && g_hash_table_lookup(storage->blobs, &blob->digest) == NULL) {
        g_hash_table_insert(storage->blobs, &blob->digest, blob);
        blob->link.data = storage_blob_ref(blob);
        g_queue_push_head_link(&storage->recent, &blob->link);
        storage->blobs_size += cost(blob);
    }
    while (storage->blobs_size > KEPT_MAX && storage->recent.length > 1) {
        drop_last(storage);
    }
    g_mutex_unlock(&storage->blobs_lock);
}

void blob_forget(Storage *storage)
{
    g_mutex_lock(&storage->blobs_lock);
    storage->blobs_epoch++;
    while (storage->recent.length > 0) {
        drop_last(storage);
    }
    g_mutex_unlock(&storage->blobs_lock);
}

static StorageBlob *read_places(Storage *storage, const IngotDigest *digest, gint64 *lost, GError **error)
{
    g_autoptr(StorageBlob) blob = g_new0(StorageBlob, 1);
    g_atomic_ref_count_init(&blob->references);
    blob->storage = storage;
    blob->digest = *digest;
    blob->packs = g_ptr_array_new_with_free_func((GDestroyNotify)pack_unref);
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    gboolean ok = reader != NULL && fill(blob, reader, error);
    *lost = blob->lost;
    return ok ? g_steal_pointer(&blob) : NULL;
}

StorageBlob *blob_load(Storage *storage, const IngotDigest *digest, GError **error)
{
    guint epoch;
    StorageBlob *kept = find_kept(storage, digest, &epoch);
    if (kept != NULL) {
        return kept;
    }
    GError *problem = NULL;
    gint64 lost;
    StorageBlob *blob = read_places(storage, digest, &lost, &problem);
    if (blob == NULL && (lost != 0 || !g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT))) {
        /* A pack that went away while we looked: its pieces have another place now. */
        g_clear_error(&problem);
        blob = read_places(storage, digest, &lost, &problem);
    }
    if (blob == NULL) {
        if (lost != 0 && g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
            blob_pack_lost(storage, lost);
        }
        g_propagate_error(error, problem);
        return NULL;
    }
    keep(storage, blob, epoch);
    return blob;
}

StorageBlob *storage_blob(Storage *storage, const char *name, const IngotDigest *digest, GError **error)
{
    if (!storage_has(storage, name, digest)) {
        blob_unknown(error, "the blob");
        return NULL;
    }
    return blob_load(storage, digest, error);
}

guint storage_blob_count(const StorageBlob *blob)
{
    return blob->count;
}

GBytes *storage_blob_frames(const StorageBlob *blob)
{
    GByteArray *list = g_byte_array_new();
    for (guint i = 0; i < blob->count; i++) {
        const Place *place = &blob->places[i];
        guint32 length = GUINT32_TO_LE(place->length);
        g_byte_array_append(list, place->digest.bytes, sizeof place->digest.bytes);
        g_byte_array_append(list, (const guint8 *)&length, sizeof length);
    }
    return g_byte_array_free_to_bytes(list);
}

/* --- reading --- */

static guint place_at(const StorageBlob *blob, guint64 offset)
{
    guint low = 0, high = blob->count;
    while (high - low > 1) {
        guint middle = low + (high - low) / 2;
        if (blob->places[middle].start <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static gint generation_of(const StorageBlob *blob, const Place *place)
{
    return (gint)pack_generation(g_ptr_array_index(blob->packs, place->pack));
}

/* Whether b's bytes follow a's in the same pack. */
static gboolean is_run(const Place *a, const Place *b)
{
    return a->pack == b->pack && a->offset + a->length == b->offset;
}

/* How many bytes from offset on stand in one run and have been found whole: of `first`, and of those behind it. */
static guint64 whole_run(const StorageBlob *blob, guint first, guint64 offset, guint64 most)
{
    gint generation = generation_of(blob, &blob->places[first]);
    guint64 end = offset;
    for (guint i = first; i < blob->count && end < offset + most; i++) {
        Place *place = &blob->places[i];
        if (g_atomic_int_get(&place->generation) != generation || (i > first && !is_run(place - 1, place))) {
            break;
        }
        end = place->start + place->length;
    }
    return MIN(end - offset, most);
}

static gboolean read_pack(const StorageBlob *blob, const Place *place, guint64 within, void *buffer, gsize size,
                          GError **error)
{
    const Pack *pack = g_ptr_array_index(blob->packs, place->pack);
    return pack_read(pack, place->offset + within, buffer, size, error);
}

static gboolean check(const StorageBlob *blob, const Place *place, const void *data, GError **error)
{
    IngotDigest found;
    ingot_digest_of(data, place->length, &found);
    if (ingot_digest_equal(&found, &place->digest)) {
        return TRUE;
    }
    const Pack *pack = g_ptr_array_index(blob->packs, place->pack);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: the piece at offset %" G_GUINT64_FORMAT " is damaged",
                pack_path(pack), place->offset);
    return FALSE;
}

/* Reads a piece that has not been looked at yet, and gives out the part that was asked for. */
static gssize read_checked(StorageBlob *blob, Place *place, guint64 within, void *buffer, gsize size, GError **error)
{
    gint generation = generation_of(blob, place);
    g_autofree guint8 *data = g_malloc(place->length);
    GError *problem = NULL;
    if (!read_pack(blob, place, 0, data, place->length, &problem) || !check(blob, place, data, &problem)) {
        blob_damaged(blob->storage, &place->digest, pack_number(g_ptr_array_index(blob->packs, place->pack)),
                     place->offset);
        g_propagate_error(error, problem);
        return -1;
    }
    g_atomic_int_set(&place->generation, generation);
    gsize count = MIN(size, place->length - within);
    memcpy(buffer, data + within, count);
    return (gssize)count;
}

gssize storage_blob_read(StorageBlob *blob, guint64 offset, void *buffer, gsize size, GError **error)
{
    if (offset >= blob->size || size == 0) {
        return 0;
    }
    guint at = place_at(blob, offset);
    Place *place = &blob->places[at];
    guint64 whole = whole_run(blob, at, offset, size);
    if (whole == 0) {
        return read_checked(blob, place, offset - place->start, buffer, size, error);
    }
    return read_pack(blob, place, offset - place->start, buffer, (gsize)whole, error) ? (gssize)whole : -1;
}

gboolean storage_blob_read_all(StorageBlob *blob, guint64 offset, void *buffer, gsize size, GError **error)
{
    for (gsize at = 0; at < size;) {
        gssize count = storage_blob_read(blob, offset + at, (guint8 *)buffer + at, size - at, error);
        if (count <= 0) {
            return FALSE;
        }
        at += (gsize)count;
    }
    return TRUE;
}

gboolean storage_blob_run(StorageBlob *blob, guint64 offset, guint64 length, int *fd, guint64 *at)
{
    if (length == 0 || offset >= blob->size) {
        return FALSE;
    }
    guint first = place_at(blob, offset);
    const Place *place = &blob->places[first];
    *fd = pack_fd(g_ptr_array_index(blob->packs, place->pack));
    *at = place->offset + (offset - place->start);
    return whole_run(blob, first, offset, length) == length;
}
