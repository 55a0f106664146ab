/* Publishing: a finished upload's new pieces become part of a pack, and its blob known to the catalogue. */
#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <unistd.h>

#include "server/storage/inside.h"

#define SHARED_MAX (256u << 20) /* bytes, after which small segments go to another pack */

static gint64 next_number(Change *change, GError **error)
{
    gint64 highest;
    if (!database_number(change->writer, &highest, 0, error, "SELECT max(id) FROM packs", "")) {
        return -1;
    }
    return MAX(highest, packs_highest(change->storage->packs)) + 1;
}

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

static gboolean begin_shared(Change *change, GError **error)
{
    Storage *storage = change->storage;
    gint64 number = next_number(change, error);
    if (number < 0) {
        return FALSE;
    }
    g_autofree char *path = packs_path(storage->packs, number);
    int fd = ingot_file_open(path, O_RDWR | O_CREAT | O_EXCL, 0600, error);
    if (fd < 0 || !ingot_file_publish(fd, path, path, error) || !add_pack(change, number, 0, error)) {
        if (fd >= 0) {
            close(fd);
            packs_remove(storage->packs, number, NULL);
        }
        return FALSE;
    }
    if (storage->shared_fd >= 0) {
        close(storage->shared_fd);
    }
    storage->shared_fd = fd;
    storage->shared_pack = number;
    storage->shared_end = 0;
    return TRUE;
}

gboolean publish_small(Change *change, const Table *table, const void *data, gint64 *blob, GError **error)
{
    Storage *storage = change->storage;
    if ((storage->shared_pack == 0 || storage->shared_end >= SHARED_MAX) && !begin_shared(change, error)) {
        return FALSE;
    }
    guint64 fresh = 0, at = storage->shared_end, end;
    for (guint i = 0; i < table->pieces->len; i++) {
        fresh += table_piece(table, i)->fresh ? table_piece(table, i)->length : 0;
    }
    g_autofree char *path = packs_path(storage->packs, storage->shared_pack);
    if (!ingot_file_pwrite(storage->shared_fd, data, fresh, at + SEGMENT_HEAD, path, error) ||
        !segment_finish(storage->shared_fd, at, fresh, table, &end, path, error)) {
        return FALSE;
    }
    if (fdatasync(storage->shared_fd) != 0) {
        return ingot_error_set_errno(error, errno, "%s", path);
    }
    storage->shared_end = end;
    return database_run(change->writer, error, "UPDATE packs SET size=? WHERE id=?", "ii", (gint64)end,
                        storage->shared_pack) &&
           publish_rows(change, table, storage->shared_pack, at, blob, error);
}

gboolean publish_pack(Change *change, const char *path, guint64 size, gint64 *number, GError **error)
{
    *number = next_number(change, error);
    if (*number < 0) {
        return FALSE;
    }
    /* A crash between here and the commit leaves a pack that the catalogue does not know: it is never read, and the
     * next collection of garbage removes it. */
    g_autofree char *target = packs_path(change->storage->packs, *number);
    if (!ingot_file_publish(-1, path, target, error)) {
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
