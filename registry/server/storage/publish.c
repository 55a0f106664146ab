/* Publishing: a finished upload's new pieces become part of a pack, and its blob known to the catalogue. */
#include <fcntl.h>
#include <ingot/error.h>
#include <unistd.h>

#include "server/catalogue/pieces.h"
#include "server/catalogue/rowsum.h"
#include "server/storage/inside.h"

/* What the catalogue knows of a table's pieces, in their order; free it. */
static PieceRow *find_rows(Change *change, const Table *table, GError **error)
{
    guint count = table->pieces->len;
    g_autofree const IngotDigest **digests = g_new(const IngotDigest *, count + 1);
    g_autofree PieceRow *rows = g_new(PieceRow, count + 1);
    for (guint i = 0; i < count; i++) {
        digests[i] = &table_piece(table, i)->digest;
    }
    return pieces_find(change->writer, digests, count, rows, error) ? g_steal_pointer(&rows) : NULL;
}

/* A piece that was there and whole stays where it is; one found damaged, or marked to go, is replaced by this copy. */
static gboolean add_fresh(Change *change, const Table *table, gint64 pack, guint64 offset, GError **error)
{
    g_autofree PieceRow *rows = find_rows(change, table, error);
    for (guint i = 0; rows != NULL && i < table->pieces->len; i++) {
        const Piece *piece = table_piece(table, i);
        if (!piece->fresh) {
            continue;
        }
        change->moved |= rows[i].damaged || rows[i].marked;
        if (!pieces_is_whole(&rows[i], piece->length) &&
            !pieces_put(change->writer, &piece->digest, piece->length, pack, offset, error)) {
            return FALSE;
        }
        offset += piece->length;
    }
    return rows != NULL;
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
static guint32 *use_pieces(Change *change, const Table *table, GError **error)
{
    g_autofree PieceRow *rows = find_rows(change, table, error);
    g_autofree guint32 *ids = g_new(guint32, table->pieces->len + 1);
    for (guint i = 0; rows != NULL && i < table->pieces->len; i++) {
        if (rows[i].id <= 0 || rows[i].id > G_MAXUINT32 || rows[i].length != table_piece(table, i)->length) {
            blob_unknown(error, "a piece that the upload counted on");
            return NULL;
        }
        if (rows[i].marked && !pieces_revive(change->writer, rows[i].id, error)) {
            return NULL;
        }
        ids[i] = GUINT32_TO_LE((guint32)rows[i].id);
    }
    return rows == NULL ? NULL : g_steal_pointer(&ids);
}

static gboolean brings_piece(const Table *table, const IngotDigest *digest)
{
    for (guint i = 0; i < table->pieces->len; i++) {
        const Piece *piece = table_piece(table, i);
        if (piece->fresh && ingot_digest_equal(&piece->digest, digest)) {
            return TRUE;
        }
    }
    return FALSE;
}

gboolean publish_brings(Change *change, const Table *table, gint64 blob, gboolean *brings, GError **error)
{
    g_autofree PieceRow *rows = find_rows(change, table, error);
    *brings = blob == 0;
    for (guint i = 0; rows != NULL && i < table->pieces->len; i++) {
        const Piece *piece = table_piece(table, i);
        *brings |= piece->fresh && rows[i].damaged;
        if (rows[i].damaged && !piece->fresh && !brings_piece(table, &piece->digest)) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                        "a piece that the upload counted on is damaged: push the blob again");
            return FALSE;
        }
    }
    return rows != NULL;
}

gboolean publish_rows(Change *change, const Table *table, gint64 pack, guint64 at, gint64 *blob, GError **error)
{
    if (!add_fresh(change, table, pack, at + SEGMENT_HEAD, error)) {
        return FALSE;
    }
    g_autofree guint32 *ids = use_pieces(change, table, error);
    return ids != NULL &&
           (!table_has_blob(table) || *blob > 0 ||
            (pieces_add_blob(change->writer, &table->blob, table->size, pack, ids, table->pieces->len, blob, error) &&
             add_starts(change, table, ids, error)));
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

gboolean publish_file(Change *change, const Table *table, const char *path, guint64 size, gint64 *blob, GError **error)
{
    gint64 number;
    return publish_pack(change, path, size, &number, error) && publish_rows(change, table, number, 0, blob, error);
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
    g_autofree char *id = g_uuid_string_random();
    g_autofree char *path = g_strdup_printf("%s/uploads/%s.pack", change->storage->path, id);
    g_auto(IngotFd) fd = ingot_file_open(path, O_WRONLY | O_CREAT | O_EXCL, 0600, error);
    if (fd < 0) {
        return FALSE;
    }
    gboolean ok =
        write_segment(fd, path, table, data, &size, error) && publish_file(change, table, path, size, blob, error);
    unlink(path);
    return ok;
}
