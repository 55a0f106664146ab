/* Publishing: a finished upload's new pieces become part of a pack, and its blob known to the catalogue. */
#include <fcntl.h>
#include <ingot/error.h>
#include <unistd.h>

#include "server/catalogue/pieces.h"
#include "server/catalogue/rowsum.h"
#include "server/storage/inside.h"

/* Whether the table's piece is whole as that row of it says, which the change itself has read: it still is. */
static gboolean is_settled(const Table *table, const PieceRow *found, guint piece)
{
    return found != NULL && pieces_is_whole(&found[piece], table_piece(table, piece)->length);
}

/* What the catalogue knows of a table's pieces, in their order. Those that are whole as `found` (NULL: nothing is known
 * yet) says are not looked up again. Free it. */
static PieceRow *publish_look_up(Connection *connection, const Table *table, const PieceRow *found, GError **error)
{
    guint count = table->pieces->len, asked = 0;
    g_autofree const IngotDigest **digests = g_new(const IngotDigest *, count + 1);
    g_autofree PieceRow *rows = g_new0(PieceRow, count + 1);
    for (guint i = 0; i < count; i++) {
        if (!is_settled(table, found, i)) {
            digests[asked++] = &table_piece(table, i)->digest;
        }
    }
    if (!pieces_find(connection, digests, asked, rows, error)) {
        return NULL;
    }
    for (guint i = count; found != NULL && i > 0; i--) {
        rows[i - 1] = is_settled(table, found, i - 1) ? found[i - 1] : rows[--asked];
    }
    return g_steal_pointer(&rows);
}

static PieceRow *publish_find(Connection *connection, const Table *table, GError **error)
{
    return publish_look_up(connection, table, NULL, error);
}

/* A piece that was there and whole stays where it is; one found damaged, or marked to go, is replaced by this copy. */
static gboolean add_fresh(Change *change, const Table *table, const PieceRow *found, gint64 pack, guint64 offset,
                          GError **error)
{
    for (guint i = 0; i < table->pieces->len; i++) {
        const Piece *piece = table_piece(table, i);
        if (!piece->fresh) {
            continue;
        }
        change->moved |= found[i].damaged || found[i].marked;
        if (!pieces_is_whole(&found[i], piece->length) &&
            !pieces_put(change->writer, &piece->digest, piece->length, pack, offset, error)) {
            return FALSE;
        }
        offset += piece->length;
    }
    return TRUE;
}

/* Where the blob's windows start, for those who read it. */
static gboolean add_starts(Change *change, const Table *table, const guint32 *ids, GError **error)
{
    g_autoptr(GArray) starts = g_array_new(FALSE, FALSE, sizeof(guint64));
    guint64 at = 0;
    for (guint i = 0; i < table->pieces->len; i++) {
        if (i % BLOBMAP_WINDOW == 0) {
            g_array_append_val(starts, at);
        }
        at += table_piece(table, i)->length;
    }
    gint64 sum = row_sum("dib", &table->blob, (gint64)table->size, ids, table->pieces->len * sizeof *ids);
    return blobmap_keep_starts(change->writer, &table->blob, sum, (const guint64 *)(gpointer)starts->data, starts->len,
                               error);
}

/* The ids of a table's pieces, all of which are in use from now on; free it. NOT_FOUND: the upload's lease had lapsed,
 * and what it counted on is gone. */
static guint32 *use_pieces(Change *change, const Table *table, const PieceRow *rows, GError **error)
{
    g_autofree guint32 *ids = g_new(guint32, table->pieces->len + 1);
    for (guint i = 0; i < table->pieces->len; i++) {
        if (rows[i].id <= 0 || rows[i].id > G_MAXUINT32 || rows[i].length != table_piece(table, i)->length) {
            blob_unknown(error, "a piece that the upload counted on");
            return NULL;
        }
        if (rows[i].marked && !pieces_revive(change->writer, rows[i].id, error)) {
            return NULL;
        }
        ids[i] = GUINT32_TO_LE((guint32)rows[i].id);
    }
    return g_steal_pointer(&ids);
}

/* Whether the map is made of those rows' pieces, one after another. */
static gboolean is_cut_so(const BlobMap *map, const PieceRow *rows, guint count)
{
    gboolean same = map->count == count;
    for (guint i = 0; same && i < count; i++) {
        same = map->ids[i] == rows[i].id;
    }
    return same;
}

static gboolean is_wrong(const GError *problem)
{
    return g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND) ||
           g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT);
}

/* Whether the blob of the table's digest, which is there, can be read as it is cut there: no piece of it is known to be
 * damaged, and its row is what it was. rows: of the table's pieces. */
static gboolean is_readable(Change *change, const Table *table, const PieceRow *rows, gboolean *readable,
                            GError **error)
{
    GError *problem = NULL;
    g_autoptr(BlobMap) map = blobmap_read(change->writer, &table->blob, &problem);
    *readable = map != NULL && !map->is_damaged &&
                (is_cut_so(map, rows, table->pieces->len) || blobmap_measure(change->writer, map, &problem));
    if (problem != NULL && !is_wrong(problem)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_clear_error(&problem);
    return TRUE;
}

/* Set of the digests (in the table) of the pieces that it brings. */
static GHashTable *brought_pieces(const Table *table)
{
    GHashTable *brought = g_hash_table_new(ingot_digest_hash, ingot_digest_equal);
    for (guint i = 0; i < table->pieces->len; i++) {
        const Piece *piece = table_piece(table, i);
        if (piece->fresh) {
            g_hash_table_add(brought, (gpointer)&piece->digest);
        }
    }
    return brought;
}

gboolean publish_brings(Change *change, const Table *table, gint64 blob, gboolean *brings, PieceRow **found,
                        GError **error)
{
    gboolean readable = FALSE;
    g_autofree PieceRow *rows = publish_find(change->writer, table, error);
    if (rows == NULL || (blob > 0 && !is_readable(change, table, rows, &readable, error))) {
        return FALSE;
    }
    *brings = !readable;
    g_autoptr(GHashTable) brought = brought_pieces(table);
    for (guint i = 0; i < table->pieces->len; i++) {
        const Piece *piece = table_piece(table, i);
        *brings |= piece->fresh && rows[i].damaged;
        if (rows[i].damaged && !piece->fresh && !g_hash_table_contains(brought, &piece->digest)) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                        "a piece that the upload counted on is damaged: push the blob again");
            return FALSE;
        }
    }
    if (found != NULL) {
        *found = g_steal_pointer(&rows);
    }
    return TRUE;
}

/* A window's pieces, up to the first that is not whole. */
static gboolean prove_window(Storage *storage, Connection *reader, const BlobMap *map, guint number, gboolean *whole,
                             GError **error)
{
    guint count;
    g_autofree PiecePlace *places = g_new(PiecePlace, BLOBMAP_WINDOW);
    if (!blobmap_places(reader, map, number, FALSE, places, &count, error)) {
        return FALSE;
    }
    for (guint i = 0; i < count && *whole; i++) {
        const PieceRow row = {.pack = places[i].pack, .offset = places[i].offset, .length = places[i].length};
        *whole = !places[i].damaged;
        if (*whole && !proof_holds(storage, &places[i].digest, &row, whole, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean prove_map(Storage *storage, Connection *reader, const Table *table, GError **error)
{
    gboolean whole = TRUE;
    g_autoptr(BlobMap) map = blobmap_read(reader, &table->blob, error);
    g_autofree PieceRow *rows = map == NULL ? NULL : publish_find(reader, table, error);
    if (rows == NULL || is_cut_so(map, rows, table->pieces->len)) {
        return rows != NULL;
    }
    if (map->starts == NULL && !blobmap_measure(reader, map, error)) {
        return FALSE;
    }
    for (guint i = 0; i < map->windows && whole && !map->is_damaged; i++) {
        if (!prove_window(storage, reader, map, i, &whole, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean publish_prove(Storage *storage, const Table *table, GError **error)
{
    GError *problem = NULL;
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    if (reader == NULL) {
        return FALSE;
    }
    if (!prove_map(storage, reader, table, &problem) && !is_wrong(problem)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_clear_error(&problem);
    return TRUE;
}

static gboolean add_blob(Change *change, const Table *table, gint64 pack, const guint32 *ids, gint64 *blob,
                         GError **error)
{
    guint count = table->pieces->len;
    return (*blob > 0 ? pieces_recut_blob(change->writer, *blob, &table->blob, table->size, pack, ids, count, error)
                      : pieces_add_blob(change->writer, &table->blob, table->size, pack, ids, count, blob, error)) &&
           add_starts(change, table, ids, error);
}

/* found: what the change has read of the pieces; a blob that is there: publish_rows. */
static gboolean add_rows(Change *change, const Table *table, const PieceRow *found, gint64 pack, guint64 at,
                         gint64 *blob, GError **error)
{
    gboolean readable = FALSE;
    if (!add_fresh(change, table, found, pack, at + SEGMENT_HEAD, error)) {
        return FALSE;
    }
    g_autofree PieceRow *rows = publish_look_up(change->writer, table, found, error);
    g_autofree guint32 *ids = rows == NULL ? NULL : use_pieces(change, table, rows, error);
    if (ids == NULL || !table_has_blob(table)) {
        return ids != NULL;
    }
    if (*blob > 0) {
        if (!is_readable(change, table, rows, &readable, error)) {
            return FALSE;
        }
        change->moved |= !readable;
    }
    return readable || add_blob(change, table, pack, ids, blob, error);
}

gboolean publish_rows(Change *change, const Table *table, gint64 pack, guint64 at, gint64 *blob, GError **error)
{
    g_autofree PieceRow *found = publish_find(change->writer, table, error);
    return found != NULL && add_rows(change, table, found, pack, at, blob, error);
}

gboolean publish_pack(Change *change, const char *path, guint64 size, gint64 *number, GError **error)
{
    g_assert(change->own_pack == 0);
    /* A crash between here and the commit leaves a pack that the catalogue does not know: it is never read, and the
     * next collection of garbage sets it aside. */
    if (!packs_put(change->storage->packs, path, number, error)) {
        return FALSE;
    }
    change->own_pack = *number;
    return pieces_add_pack(change->writer, *number, size, error);
}

gboolean publish_file(Change *change, const Table *table, const PieceRow *found, const char *path, guint64 size,
                      gint64 *blob, GError **error)
{
    gint64 number;
    return publish_pack(change, path, size, &number, error) && add_rows(change, table, found, number, 0, blob, error);
}

static gboolean write_segment(int fd, const char *path, const Table *table, const void *data, guint64 *size,
                              GError **error)
{
    guint64 fresh = 0;
    for (guint i = 0; i < table->pieces->len; i++) {
        fresh += table_piece(table, i)->fresh ? table_piece(table, i)->length : 0;
    }
    return ingot_file_pwrite(fd, data, fresh, SEGMENT_HEAD, path, error) &&
           segment_finish(fd, 0, fresh, table, size, path, error);
}

gboolean publish_small(Change *change, const Table *table, const void *data, gint64 *blob, GError **error)
{
    guint64 size;
    g_autofree PieceRow *found = publish_find(change->writer, table, error);
    g_autofree char *id = g_uuid_string_random();
    g_autofree char *path = g_strdup_printf("%s/uploads/%s.pack", change->storage->path, id);
    g_auto(IngotFd) fd = found == NULL ? -1 : ingot_file_open(path, O_WRONLY | O_CREAT | O_EXCL, 0600, error);
    if (fd < 0) {
        return FALSE;
    }
    gboolean ok = write_segment(fd, path, table, data, &size, error) &&
                  publish_file(change, table, found, path, size, blob, error);
    unlink(path);
    return ok;
}
