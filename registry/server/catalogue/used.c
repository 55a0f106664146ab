#include "server/catalogue/used.h"

#include <ingot/error.h>

GArray *used_list(Connection *connection, gint64 repository, GError **error)
{
    g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(Used));
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) rows =
        database_query(connection, "SELECT manifest, at FROM used WHERE repository=?", "i", repository);
    while (database_step(rows, &problem)) {
        Used used = {.at = sqlite3_column_int64(rows, 1)};
        if (database_digest(rows, 0, &used.manifest)) {
            g_array_append_val(list, used);
        }
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return g_steal_pointer(&list);
}

gboolean used_since(Connection *connection, gint64 *since, GError **error)
{
    return database_number(connection, since, 0, error, "SELECT min(at) FROM used_since", "");
}

gboolean used_note(Connection *writer, const char *repository, const IngotDigest *manifest, gint64 at, GError **error)
{
    return database_run(writer, error,
                        "INSERT INTO used (repository, manifest, at) SELECT id, ?2, ?3 FROM repositories WHERE name=?1"
                        " ON CONFLICT (repository, manifest) DO UPDATE SET at=excluded.at",
                        "tdi", repository, manifest, at);
}

gboolean used_prune(Connection *writer, gint64 repository, GError **error)
{
    return database_run(writer, error,
                        "DELETE FROM used WHERE repository=?1 AND manifest NOT IN (SELECT digest FROM manifests JOIN"
                        " blobs ON blobs.id=blob WHERE manifests.repository=?1)",
                        "i", repository);
}
