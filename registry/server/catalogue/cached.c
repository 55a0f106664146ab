#include "server/catalogue/cached.h"

#include <ingot/error.h>

GArray *cached_list(Connection *connection, gint64 repository, GError **error)
{
    g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(IngotDigest));
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) rows =
        database_query(connection, "SELECT manifest FROM cached WHERE repository=?", "i", repository);
    while (database_step(rows, &problem)) {
        IngotDigest digest;
        if (database_digest(rows, 0, &digest)) {
            g_array_append_val(list, digest);
        }
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return g_steal_pointer(&list);
}

gboolean cached_has(Connection *connection, gint64 repository, const IngotDigest *manifest, gboolean *has,
                    GError **error)
{
    gint64 count;
    gboolean ok =
        database_number(connection, &count, 0, error, "SELECT count(*) FROM cached WHERE repository=? AND manifest=?",
                        "id", repository, manifest);
    *has = ok && count > 0;
    return ok;
}

gboolean cached_add(Connection *writer, gint64 repository, const IngotDigest *manifest, GError **error)
{
    return database_run(writer, error,
                        "INSERT INTO cached (repository, manifest) VALUES (?, ?) ON CONFLICT (repository, manifest) DO"
                        " NOTHING",
                        "id", repository, manifest);
}

gboolean cached_drop(Connection *writer, gint64 repository, const IngotDigest *manifest, gboolean *dropped,
                     GError **error)
{
    gboolean ok =
        database_run(writer, error, "DELETE FROM cached WHERE repository=? AND manifest=?", "id", repository, manifest);
    if (dropped != NULL) {
        *dropped = ok && database_changes(writer) > 0;
    }
    return ok;
}
