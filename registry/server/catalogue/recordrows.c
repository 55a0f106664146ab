#include "server/catalogue/recordrows.h"

#include "server/catalogue/rowsum.h"

gboolean record_rows_put(Connection *writer, const RecordRow *row, GError **error)
{
    return database_run(writer, error,
                        "INSERT OR REPLACE INTO records (kind, name, key, body, at, by, reason, sum) VALUES"
                        " (?, ?, ?, ?, ?, ?, ?, ?)",
                        "ttttitti", row->kind, row->name, row->key, row->body, row->at, row->by, row->reason,
                        row_sum("ttttitt", row->kind, row->name, row->key, row->body, row->at, row->by, row->reason));
}

gboolean record_rows_drop(Connection *writer, const char *kind, const char *name, const char *key, GError **error)
{
    return database_run(writer, error, "DELETE FROM records WHERE kind=? AND name=? AND key=?", "ttt", kind, name, key);
}

/* TRUE: there may be more. */
static gboolean record_row_give(sqlite3_stmt *row, RecordRowFunc func, gpointer user)
{
    const RecordRow record = {.kind = (const char *)sqlite3_column_text(row, 0),
                              .name = (const char *)sqlite3_column_text(row, 1),
                              .key = (const char *)sqlite3_column_text(row, 2),
                              .body = (const char *)sqlite3_column_text(row, 3),
                              .at = sqlite3_column_int64(row, 4),
                              .by = (const char *)sqlite3_column_text(row, 5),
                              .reason = (const char *)sqlite3_column_text(row, 6)};
    return sqlite3_column_int64(row, 7) != row_sum_columns(row, 0, 7) || func(&record, user);
}

gboolean record_rows_each(Connection *connection, const char *kind, const char *name, const char *key,
                          RecordRowFunc func, gpointer user, GError **error)
{
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) rows = NULL;
    if (kind != NULL && name != NULL) {
        rows = database_query(connection,
                              "SELECT kind, name, key, body, at, by, reason, sum FROM records WHERE kind=?1 AND name=?2"
                              " AND (?3 IS NULL OR key=?3) ORDER BY key DESC",
                              "ttt", kind, name, key);
    } else {
        rows = database_query(connection,
                              "SELECT kind, name, key, body, at, by, reason, sum FROM records WHERE (?1 IS NULL OR"
                              " kind=?1) AND (?2 IS NULL OR name=?2) AND (?3 IS NULL OR key=?3) ORDER BY kind, name,"
                              " key DESC",
                              "ttt", kind, name, key);
    }
    while (database_step(rows, &problem) && record_row_give(rows, func, user)) {
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}
