/* Publishing: a finished upload's new pieces become part of a pack, and its blob known to the catalogue. */
#include <fcntl.h>
#include <ingot/error.h>
#include <unistd.h>

#include "server/storage/inside.h"

static gboolean add_pack(Change *change, gint64 pack, guint64 size, GError **error)
{
    return database_run(change->writer, error, "INSERT INTO packs (id, size) VALUES (?, ?)", "ii", pack, (gint64)size);
}

/* A piece that was there and whole stays where it is; one found damaged is replaced by this copy. */
static gboolean add_piece(Change *change, const Piece *piece, gint64 pack, guint64 offset, GError **error)
{
    gint64 damaged;
    if (!database_number(change->writer, &damaged, 0, error, "SELECT damaged FROM pieces WHERE digest=?", "d",
                         &piece->digest)) {
        return FALSE;
    }
    change->moved |= damaged != 0;
    return database_run(change->writer, error,
                        "INSERT INTO pieces (digest, pack, offset, length) VALUES (?, ?, ?, ?) ON CONFLICT (digest) DO"
                        " UPDATE SET pack=excluded.pack, offset=excluded.offset, damaged=0 WHERE damaged",
                        "diii", &piece->digest, pack, (gint64)offset, (gint64)piece->length);
}

static gboolean add_pieces(Change *change, const Table *table, gint64 pack, guint64 offset, GArray *ids, GError **error)
{
    for (guint i = 0; i < table->pieces->len; i++) {
        const Piece *piece = table_piece(table, i);
        gint64 id;
        if (piece->fresh && !add_piece(change, piece, pack, offset, error)) {
            return FALSE;
        }
        offset += piece->fresh ? piece->length : 0;
        if (!database_number(change->writer, &id, 0, error, "SELECT id FROM pieces WHERE digest=? AND length=?", "di",
                             &piece->digest, (gint64)piece->length)) {
            return FALSE;
        }
        if (id <= 0 || id > G_MAXUINT32) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "a piece that the upload counted on is not there");
            return FALSE;
        }
        guint32 little = GUINT32_TO_LE((guint32)id);
        g_array_append_val(ids, little);
    }
    return TRUE;
}

static gboolean add_blob(Change *change, const Table *table, gint64 pack, const GArray *ids, gint64 *blob,
                         GError **error)
{
    if (!database_run(
            change->writer, error,
            "INSERT INTO blobs (digest, size, pack, pieces, sum) VALUES (?1, ?2, ?3, ?4, row_sum(?1, ?2, ?4))", "diib",
            &table->blob, (gint64)table->size, pack, ids->data, (gsize)ids->len * sizeof(guint32))) {
        return FALSE;
    }
    *blob = database_added(change->writer);
    pins_touch(change->storage, (const guint32 *)(gpointer)ids->data, ids->len);
    return TRUE;
}

gboolean publish_brings(Change *change, const Table *table, gint64 blob, gboolean *brings, GError **error)
{
    *brings = blob == 0;
    for (guint i = 0; i < table->pieces->len && !*brings; i++) {
        const Piece *piece = table_piece(table, i);
        gint64 damaged = 0;
        if (piece->fresh &&
            !database_number(change->writer, &damaged, 0, error,
                             "SELECT count(*) FROM pieces WHERE digest=? AND damaged", "d", &piece->digest)) {
            return FALSE;
        }
        *brings = damaged > 0;
    }
    return TRUE;
}

gboolean publish_rows(Change *change, const Table *table, gint64 pack, guint64 at, gint64 *blob, GError **error)
{
    g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(guint32));
    return add_pieces(change, table, pack, at + SEGMENT_HEAD, ids, error) &&
           (!table_has_blob(table) || *blob > 0 || add_blob(change, table, pack, ids, blob, error));
}

gboolean publish_pack(Change *change, const char *path, guint64 size, gint64 *number, GError **error)
{
    g_assert(change->own_pack == 0);
    /* A crash between here and the commit leaves a pack that the catalogue does not know: it is never read, and the
     * next collection of garbage removes it. */
    if (!packs_put(change->storage->packs, path, number, error)) {
        return FALSE;
    }
    change->own_pack = *number;
    return add_pack(change, *number, size, error);
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
