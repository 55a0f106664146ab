#include "server/catalogue/packrows.h"

#include <string.h>

/* Reads one row into an element. */
typedef void (*PackRead)(sqlite3_stmt *row, gpointer element);

static GArray *packrows_list(sqlite3_stmt *rows, guint size, PackRead read, GDestroyNotify clear, GError **error)
{
    g_autoptr(GArray) list = g_array_new(FALSE, TRUE, size);
    GError *problem = NULL;
    g_array_set_clear_func(list, clear);
    while (database_step(rows, &problem)) {
        g_array_set_size(list, list->len + 1);
        read(rows, list->data + (gsize)(list->len - 1) * size);
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return g_steal_pointer(&list);
}

static void read_usage(sqlite3_stmt *row, gpointer element)
{
    *(PackUsage *)element = (PackUsage){
        .pack = sqlite3_column_int64(row, 0),
        .size = (guint64)sqlite3_column_int64(row, 1),
        .live = (guint64)(sqlite3_column_int64(row, 2) + sqlite3_column_int64(row, 3)),
    };
}

GArray *packrows_usage(Connection *connection, GError **error)
{
    /* 36 bytes of a table for each piece, 108 for its head and the segment's (segment.h). */
    g_autoptr(sqlite3_stmt) rows =
        database_query(connection,
                       "SELECT id, size, (SELECT coalesce(sum(length + 36), 0) FROM pieces WHERE pack=packs.id),"
                       " (SELECT coalesce(sum(108 + length(pieces) * 9), 0) FROM blobs WHERE pack=packs.id) FROM packs"
                       " WHERE id NOT IN (SELECT pack FROM spared_packs)",
                       "");
    return packrows_list(rows, sizeof(PackUsage), read_usage, NULL, error);
}

static void read_piece(sqlite3_stmt *row, gpointer element)
{
    PackPiece *piece = element;
    piece->id = sqlite3_column_int64(row, 0);
    database_digest(row, 1, &piece->digest);
    piece->offset = (guint64)sqlite3_column_int64(row, 2);
    piece->length = (guint32)sqlite3_column_int64(row, 3);
    piece->damaged = sqlite3_column_int64(row, 4) != 0;
}

GArray *packrows_pieces(Connection *connection, gint64 pack, guint64 from, GError **error)
{
    g_autoptr(sqlite3_stmt) rows = database_query(
        connection, "SELECT id, digest, offset, length, damaged FROM pieces WHERE pack=? AND offset>=? ORDER BY offset",
        "ii", pack, (gint64)from);
    return packrows_list(rows, sizeof(PackPiece), read_piece, NULL, error);
}

gboolean packrows_stands(Connection *connection, const PackPiece *piece, gint64 pack, gboolean *stands, GError **error)
{
    gint64 count;
    gboolean ok = database_number(connection, &count, 0, error,
                                  "SELECT count(*) FROM pieces WHERE id=? AND pack=? AND offset=? AND digest=?", "iiid",
                                  piece->id, pack, (gint64)piece->offset, &piece->digest);
    *stands = ok && count > 0;
    return ok;
}

gboolean packrows_piece(Connection *connection, gint64 id, IngotDigest *digest, guint32 *length, gboolean *found,
                        GError **error)
{
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) row = database_query(connection, "SELECT digest, length FROM pieces WHERE id=?", "i", id);
    *found = database_step(row, &problem) && database_digest(row, 0, digest);
    *length = *found ? (guint32)sqlite3_column_int64(row, 1) : 0;
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

static void blob_clear(gpointer data)
{
    g_clear_pointer(&((PackBlob *)data)->pieces, g_array_unref);
}

static void read_blob(sqlite3_stmt *row, gpointer element)
{
    PackBlob *blob = element;
    database_digest(row, 0, &blob->digest);
    blob->size = (guint64)sqlite3_column_int64(row, 1);
    blob->pieces = g_array_new(FALSE, FALSE, sizeof(guint32));
    const guint32 *pieces = sqlite3_column_blob(row, 2);
    for (guint i = 0; i < (guint)sqlite3_column_bytes(row, 2) / (guint)sizeof *pieces; i++) {
        guint32 piece = GUINT32_FROM_LE(pieces[i]);
        g_array_append_val(blob->pieces, piece);
    }
}

GArray *packrows_blobs(Connection *connection, gint64 pack, GError **error)
{
    g_autoptr(sqlite3_stmt) rows =
        database_query(connection, "SELECT digest, size, pieces FROM blobs WHERE pack=?", "i", pack);
    return packrows_list(rows, sizeof(PackBlob), read_blob, blob_clear, error);
}

static void user_clear(gpointer data)
{
    g_free(((PackUser *)data)->repository);
    g_free(((PackUser *)data)->tag);
}

static void read_user(sqlite3_stmt *row, gpointer element)
{
    PackUser *user = element;
    user->repository = database_text(row, 0);
    user->tag = database_text(row, 1);
}

GArray *packrows_users(Connection *connection, gint64 blob, GError **error)
{
    g_autoptr(sqlite3_stmt) rows =
        database_query(connection,
                       "SELECT DISTINCT repositories.name, tags.name FROM blobs JOIN mentions ON"
                       " mentions.digest=blobs.digest OR mentions.manifest=blobs.id JOIN repositories ON"
                       " repositories.id=mentions.repository LEFT JOIN tags ON tags.repository=repositories.id"
                       " AND tags.blob=mentions.manifest WHERE blobs.id=? ORDER BY 1, 2",
                       "i", blob);
    return packrows_list(rows, sizeof(PackUser), read_user, user_clear, error);
}

gboolean packrows_move_piece(Connection *writer, gint64 id, gint64 from, gint64 to, guint64 offset, GError **error)
{
    return database_run(writer, error, "UPDATE pieces SET pack=?, offset=? WHERE id=? AND pack=?", "iiii", to,
                        (gint64)offset, id, from);
}

gboolean packrows_move_blobs(Connection *writer, gint64 from, gint64 to, GError **error)
{
    return database_run(writer, error, "UPDATE blobs SET pack=? WHERE pack=?", "ii", to, from);
}

gboolean packrows_heal(Connection *writer, const IngotDigest *digest, gint64 pack, guint64 offset, GError **error)
{
    return database_run(writer, error, "UPDATE pieces SET damaged=0 WHERE digest=? AND pack=? AND offset=?", "dii",
                        digest, pack, (gint64)offset);
}

gboolean packrows_drop(Connection *writer, gint64 pack, GError **error)
{
    return database_run(writer, error, "DELETE FROM packs WHERE id=?", "i", pack);
}

gboolean packrows_smaller(Connection *connection, guint64 size, guint64 *count, GError **error)
{
    gint64 found;
    gboolean ok =
        database_number(connection, &found, 0, error, "SELECT count(*) FROM packs WHERE size<?", "i", (gint64)size);
    *count = (guint64)found;
    return ok;
}
