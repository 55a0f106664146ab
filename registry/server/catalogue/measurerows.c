#include "server/catalogue/measurerows.h"

#include "server/catalogue/rowsum.h"

GBytes *measure_rows_find(Connection *connection, const IngotDigest *manifest, const char *what)
{
    g_autoptr(sqlite3_stmt) row =
        database_query(connection, "SELECT value, sum FROM measures WHERE manifest=? AND what=?", "dt", manifest, what);
    if (!database_step(row, NULL)) {
        return NULL;
    }
    const void *value = sqlite3_column_blob(row, 0);
    gsize size = (gsize)sqlite3_column_bytes(row, 0);
    return sqlite3_column_int64(row, 1) == row_sum("dtb", manifest, what, value, size) ? g_bytes_new(value, size)
                                                                                       : NULL;
}

gboolean measure_rows_put(Connection *connection, const IngotDigest *manifest, const char *what, GBytes *value,
                          GError **error)
{
    gsize size;
    const void *data = g_bytes_get_data(value, &size);
    return database_run(connection, error,
                        "INSERT INTO measures (manifest, what, value, sum) VALUES (?, ?, ?, ?) ON CONFLICT (manifest,"
                        " what) DO UPDATE SET value=excluded.value, sum=excluded.sum",
                        "dtbi", manifest, what, data, size, row_sum("dtb", manifest, what, data, size));
}
