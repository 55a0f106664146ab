#include "server/catalogue/repositories.h"

#include "server/catalogue/rowsum.h"

gint64 repositories_find(Connection *connection, const char *name, GError **error)
{
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) row =
        database_query(connection, "SELECT id, sum FROM repositories WHERE name=?", "t", name);
    gboolean found = database_step(row, &problem);
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return -1;
    }
    gint64 id = found ? sqlite3_column_int64(row, 0) : 0;
    return found && sqlite3_column_int64(row, 1) == row_sum("it", id, name) ? id : 0;
}

gint64 repositories_make(Connection *connection, const char *name, GError **error)
{
    gint64 id = repositories_find(connection, name, error);
    if (id != 0) {
        return id;
    }
    return database_number(connection, &id, 0, error, "SELECT 1 + coalesce(max(id), 0) FROM repositories", "") &&
                   database_run(connection, error, "INSERT INTO repositories (id, name, sum) VALUES (?, ?, ?)", "iti",
                                id, name, row_sum("it", id, name))
               ? id
               : -1;
}

char **repositories_list(Connection *connection, GError **error)
{
    g_autoptr(GStrvBuilder) all = g_strv_builder_new();
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) rows =
        database_query(connection,
                       "SELECT id, name, sum FROM repositories WHERE EXISTS (SELECT 1 FROM tags WHERE"
                       " repository=repositories.id) ORDER BY name",
                       "");
    while (database_step(rows, &problem)) {
        const char *name = (const char *)sqlite3_column_text(rows, 1);
        if (sqlite3_column_int64(rows, 2) == row_sum("it", sqlite3_column_int64(rows, 0), name)) {
            g_strv_builder_add(all, name);
        }
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return g_strv_builder_end(all);
}

gboolean repositories_count(Connection *connection, NameCounts *counts, GError **error)
{
    gint64 repositories, manifests, tags;
    gboolean ok =
        database_number(connection, &repositories, 0, error, "SELECT count(DISTINCT repository) FROM links", "") &&
        database_number(connection, &manifests, 0, error, "SELECT count(*) FROM manifests", "") &&
        database_number(connection, &tags, 0, error, "SELECT count(*) FROM tags", "");
    if (ok) {
        *counts = (NameCounts){(guint64)repositories, (guint64)manifests, (guint64)tags};
    }
    return ok;
}
