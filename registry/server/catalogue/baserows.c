#include "server/catalogue/baserows.h"

#include <ingot/error.h>

#include "server/catalogue/rowsum.h"

/* Columns: image, base, sum, image, name, name_sum. */
#define EDGES "SELECT image, base, sum, image, name, name_sum FROM bases "
static gboolean edge_read(sqlite3_stmt *row, IngotDigest *image, IngotDigest *base, GError **error)
{
    gboolean whole =
        database_digest(row, 0, image) && database_digest(row, 1, base) &&
        sqlite3_column_int64(row, 2) == row_sum_columns(row, 0, 2) &&
        (sqlite3_column_type(row, 5) == SQLITE_NULL || sqlite3_column_int64(row, 5) == row_sum_columns(row, 3, 2));
    if (!whole) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "the catalogue's row of what an image stands on is damaged: `ingotd rebuild` makes it again");
    }
    return whole;
}

static gboolean edges_ended(GError *problem, GError **error)
{
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

gboolean base_rows_put(Connection *writer, const IngotDigest *image, const IngotDigest *base, const char *name,
                       GError **error)
{
    return database_run(writer, error,
                        "INSERT INTO bases (image, base, sum, name, name_sum) VALUES (?, ?, ?, ?, ?) ON CONFLICT"
                        " (image) DO UPDATE SET base=excluded.base, sum=excluded.sum, name=excluded.name,"
                        " name_sum=excluded.name_sum",
                        "dditi", image, base, row_sum("dd", image, base), name, row_sum("dt", image, name));
}

gboolean base_rows_find(Connection *connection, const IngotDigest *image, IngotDigest *base, char **name,
                        gboolean *unread, gboolean *found, GError **error)
{
    GError *problem = NULL;
    IngotDigest same;
    g_autoptr(sqlite3_stmt) row = database_query(connection, EDGES "WHERE image=?", "d", image);
    *found = database_step(row, &problem) && edge_read(row, &same, base, &problem);
    *name = *found ? database_text(row, 4) : NULL;
    *unread = *found && sqlite3_column_type(row, 5) == SQLITE_NULL;
    return edges_ended(problem, error);
}

GArray *base_rows_children(Connection *connection, const IngotDigest *base, GError **error)
{
    GError *problem = NULL;
    IngotDigest image, same;
    g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(IngotDigest));
    g_autoptr(sqlite3_stmt) rows = database_query(connection, EDGES "WHERE base=? ORDER BY image", "d", base);
    while (database_step(rows, &problem) && edge_read(rows, &image, &same, &problem)) {
        g_array_append_val(list, image);
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
