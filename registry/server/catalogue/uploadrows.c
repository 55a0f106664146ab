#include "server/catalogue/uploadrows.h"

void upload_row_clear(UploadRow *row)
{
    g_free(row->name);
    g_free(row->user);
    g_free(row->owner);
    g_clear_pointer(&row->state, g_bytes_unref);
    *row = (UploadRow){0};
}

#define COLUMNS "(id, name, user, owner, begun, until, size, staged) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"

gboolean upload_rows_add(Connection *writer, const char *id, const UploadRow *row, gint64 now, GError **error)
{
    return database_run(writer, error,
                        "INSERT INTO uploads " COLUMNS " ON CONFLICT (id) DO UPDATE SET name=excluded.name,"
                        " user=excluded.user, owner=excluded.owner, begun=excluded.begun, until=excluded.until,"
                        " size=excluded.size, staged=excluded.staged, state=NULL",
                        "ttttiiii", id, row->name, row->user, row->owner, now, row->until, (gint64)row->size,
                        (gint64)row->staged);
}

gboolean upload_rows_adopt(Connection *writer, const char *id, const UploadRow *row, gint64 now, GError **error)
{
    return database_run(writer, error, "INSERT INTO uploads " COLUMNS " ON CONFLICT (id) DO NOTHING", "ttttiiii", id,
                        row->name, row->user, row->owner, now, row->until, (gint64)row->size, (gint64)row->staged);
}

gboolean upload_rows_grow(Connection *writer, const char *id, guint64 staged, GError **error)
{
    return database_run(writer, error, "UPDATE uploads SET staged=?1 WHERE id=?2 AND staged<?1", "it", (gint64)staged,
                        id);
}

gboolean upload_rows_find(Connection *connection, const char *id, UploadRow *row, gboolean *found, GError **error)
{
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) one = database_query(
        connection, "SELECT name, user, owner, until, size, staged, state FROM uploads WHERE id=?", "t", id);
    *found = database_step(one, &problem);
    if (*found) {
        *row = (UploadRow){.name = database_text(one, 0),
                           .user = database_text(one, 1),
                           .owner = database_text(one, 2),
                           .until = sqlite3_column_int64(one, 3),
                           .size = (guint64)sqlite3_column_int64(one, 4),
                           .staged = (guint64)sqlite3_column_int64(one, 5)};
        const void *state = sqlite3_column_blob(one, 6);
        row->state = state == NULL ? NULL : g_bytes_new(state, (gsize)sqlite3_column_bytes(one, 6));
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

gboolean upload_rows_take(Connection *writer, const char *id, const char *owner, gint64 until, gboolean refused,
                          GError **error)
{
    return database_run(writer, error, "UPDATE uploads SET owner=? WHERE id=?", "tt", owner, id) &&
           database_run(writer, error, "UPDATE uploads SET until=?1 WHERE id=?2 AND until<?1", "it", until, id) &&
           (!refused || database_run(writer, error, "UPDATE uploads SET state=NULL WHERE id=?", "t", id));
}

gboolean upload_rows_keep(Connection *writer, const char *id, const UploadRow *row, gboolean *kept, GError **error)
{
    gsize size;
    const void *state = g_bytes_get_data(row->state, &size);
    gboolean ok =
        database_run(writer, error, "UPDATE uploads SET until=?, size=?, staged=?, state=? WHERE id=? AND owner=?",
                     "iiibtt", row->until, (gint64)row->size, (gint64)row->staged, state, size, id, row->owner);
    *kept = ok && database_changes(writer) > 0;
    return ok;
}

gboolean upload_rows_lapse(Connection *writer, const char *id, gint64 until, GError **error)
{
    return database_run(writer, error, "UPDATE uploads SET until=?1 WHERE id=?2 AND until>?1", "it", until, id);
}

gboolean upload_rows_drop(Connection *writer, const char *id, GError **error)
{
    return database_run(writer, error, "DELETE FROM uploads WHERE id=?", "t", id);
}

gboolean upload_rows_clear(Connection *writer, GError **error)
{
    return database_run(writer, error, "DELETE FROM uploads", "");
}

gboolean upload_rows_count(Connection *connection, const char *user, guint *count, GError **error)
{
    gint64 number;
    gboolean ok = user == NULL ? database_number(connection, &number, 0, error, "SELECT count(*) FROM uploads", "")
                               : database_number(connection, &number, 0, error,
                                                 "SELECT count(*) FROM uploads WHERE user=?", "t", user);
    *count = (guint)number;
    return ok;
}

gboolean upload_rows_staged(Connection *connection, const char *owner, const char *name, guint64 *bytes, GError **error)
{
    gint64 number;
    gboolean ok = name == NULL
                      ? database_number(connection, &number, 0, error,
                                        "SELECT coalesce(sum(staged), 0) FROM uploads WHERE owner<>?", "t", owner)
                      : database_number(connection, &number, 0, error,
                                        "SELECT coalesce(sum(staged), 0) FROM uploads WHERE name=? AND owner<>?", "tt",
                                        name, owner);
    *bytes = (guint64)number;
    return ok;
}

char **upload_rows_lapsed(Connection *connection, gint64 now, GError **error)
{
    g_autoptr(GPtrArray) ids = g_ptr_array_new_with_free_func(g_free);
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) rows = database_query(connection, "SELECT id FROM uploads WHERE until<=?", "i", now);
    while (database_step(rows, &problem)) {
        g_ptr_array_add(ids, database_text(rows, 0));
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    g_ptr_array_add(ids, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&ids), FALSE);
}
