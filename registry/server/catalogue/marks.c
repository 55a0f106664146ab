#include "server/catalogue/marks.h"

#include "server/catalogue/spared.h"

GByteArray *marks_needed(Connection *connection, GHashTable *without, GError **error)
{
    g_autoptr(GByteArray) bits = piecebits_new(connection, error);
    GError *problem = NULL;
    if (bits == NULL) {
        return NULL;
    }
    g_autoptr(sqlite3_stmt) rows = database_query(connection, "SELECT pieces, digest FROM blobs", "");
    while (database_step(rows, &problem)) {
        IngotDigest digest;
        if (without == NULL || !database_digest(rows, 1, &digest) || !g_hash_table_contains(without, &digest)) {
            piecebits_add(bits, rows, 0);
        }
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return spared_pieces(connection, bits, error) ? g_steal_pointer(&bits) : NULL;
}

/* GArray of Dead out of rows of id, length, mark; needed (may be NULL) leaves those out that it has. */
static GArray *read_dead(sqlite3_stmt *rows, const GByteArray *needed, GError **error)
{
    g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(Dead));
    GError *problem = NULL;
    while (database_step(rows, &problem)) {
        Dead dead = {.piece = sqlite3_column_int64(rows, 0),
                     .length = (guint32)sqlite3_column_int64(rows, 1),
                     .mark = sqlite3_column_int64(rows, 2)};
        if (needed == NULL || !marks_is_needed(needed, dead.piece)) {
            g_array_append_val(list, dead);
        }
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return g_steal_pointer(&list);
}

GArray *marks_list(Connection *connection, GError **error)
{
    g_autoptr(sqlite3_stmt) rows =
        database_query(connection, "SELECT id, length, mark FROM pieces WHERE mark IS NOT NULL ORDER BY id", "");
    return read_dead(rows, NULL, error);
}

GArray *marks_unneeded(Connection *connection, const GByteArray *needed, GError **error)
{
    g_autoptr(sqlite3_stmt) rows =
        database_query(connection, "SELECT id, length, 0 FROM pieces WHERE mark IS NULL ORDER BY id", "");
    return read_dead(rows, needed, error);
}

gboolean marks_any(Connection *connection, gint64 mark, gboolean *any, GError **error)
{
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) rows =
        database_query(connection, "SELECT 1 FROM pieces WHERE mark IS NOT NULL AND mark<=? LIMIT 1", "i", mark);
    *any = database_step(rows, &problem);
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    return TRUE;
}

gboolean marks_set(Connection *writer, gint64 piece, gint64 mark, GError **error)
{
    return database_run(writer, error, "UPDATE pieces SET mark=?2 WHERE id=?1 AND mark IS NULL", "ii", piece, mark);
}

gboolean marks_clear(Connection *writer, const Dead *dead, GError **error)
{
    return database_run(writer, error, "UPDATE pieces SET mark=NULL WHERE id=? AND mark=?", "ii", dead->piece,
                        dead->mark);
}

gboolean marks_delete(Connection *writer, const Dead *dead, gboolean *deleted, GError **error)
{
    gboolean ok =
        database_run(writer, error, "DELETE FROM pieces WHERE id=? AND mark=?", "ii", dead->piece, dead->mark);
    *deleted = ok && database_changes(writer) > 0;
    return ok;
}

gboolean marks_drop_placeless(Connection *writer, const GByteArray *needed, GError **error)
{
    g_autoptr(sqlite3_stmt) rows =
        database_query(writer, "SELECT id, length, 0 FROM pieces WHERE damaged<>0 AND offset=0 ORDER BY id", "");
    g_autoptr(GArray) list = read_dead(rows, needed, error);
    gboolean ok = list != NULL;
    for (guint i = 0; ok && i < list->len; i++) {
        ok = database_run(writer, error, "DELETE FROM pieces WHERE id=? AND offset=0", "i",
                          g_array_index(list, Dead, i).piece);
    }
    return ok;
}
