#include "server/catalogue/baserows.h"

#include "server/catalogue/rowsum.h"

/* Columns: image, base, sum. */
static gboolean edge_read(sqlite3_stmt *row, IngotDigest *image, IngotDigest *base)
{
    return database_digest(row, 0, image) && database_digest(row, 1, base) &&
           sqlite3_column_int64(row, 2) == row_sum_columns(row, 0, 2);
}

static gboolean edges_ended(GError *problem, GError **error)
{
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

gboolean base_rows_put(Connection *writer, const IngotDigest *image, const IngotDigest *base, GError **error)
{
    return database_run(writer, error,
                        "INSERT INTO bases (image, base, sum) VALUES (?, ?, ?) ON CONFLICT (image) DO UPDATE SET"
                        " base=excluded.base, sum=excluded.sum",
                        "ddi", image, base, row_sum("dd", image, base));
}

gboolean base_rows_find(Connection *connection, const IngotDigest *image, IngotDigest *base, gboolean *found,
                        GError **error)
{
    GError *problem = NULL;
    IngotDigest same;
    g_autoptr(sqlite3_stmt) row =
        database_query(connection, "SELECT image, base, sum FROM bases WHERE image=?", "d", image);
    *found = database_step(row, &problem) && edge_read(row, &same, base);
    return edges_ended(problem, error);
}

GArray *base_rows_children(Connection *connection, const IngotDigest *base, GError **error)
{
    GError *problem = NULL;
    IngotDigest image, same;
    g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(IngotDigest));
    g_autoptr(sqlite3_stmt) rows =
        database_query(connection, "SELECT image, base, sum FROM bases WHERE base=? ORDER BY image", "d", base);
    while (database_step(rows, &problem)) {
        if (edge_read(rows, &image, &same)) {
            g_array_append_val(list, image);
        }
    }
    return edges_ended(problem, error) ? g_steal_pointer(&list) : NULL;
}

#define STALE                                                                                                          \
    "FROM bases WHERE NOT EXISTS (SELECT 1 FROM blobs WHERE blobs.digest=bases.image) AND NOT EXISTS (SELECT 1 FROM"   \
    " bases AS above WHERE above.base=bases.image)"

gboolean base_rows_stale(Connection *connection, gboolean *any, GError **error)
{
    gint64 found;
    gboolean ok = database_number(connection, &found, 0, error, "SELECT 1 " STALE " LIMIT 1", "");
    *any = ok && found > 0;
    return ok;
}

gboolean base_rows_sweep(Connection *writer, GError **error)
{
    return database_run(writer, error, "DELETE " STALE, "");
}

gboolean base_rows_next(Connection *connection, gint64 *repository, gint64 *blob, char **name, IngotDigest *digest,
                        gboolean *found, GError **error)
{
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) row = database_query(
        connection,
        "SELECT repository, blob, name, digest FROM manifests JOIN repositories ON repositories.id=repository JOIN"
        " blobs ON blobs.id=blob WHERE (repository, blob)>(?, ?) ORDER BY repository, blob LIMIT 1",
        "ii", *repository, *blob);
    *found = database_step(row, &problem) && database_digest(row, 3, digest);
    if (*found) {
        *repository = sqlite3_column_int64(row, 0);
        *blob = sqlite3_column_int64(row, 1);
        *name = database_text(row, 2);
    }
    return edges_ended(problem, error);
}
