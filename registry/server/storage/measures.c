/* Measures: only a saving of time, so what fails here is as if nothing was kept. */
#include "server/storage/inside.h"

GBytes *storage_measure(Storage *storage, const IngotDigest *manifest, const char *what)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, NULL);
    g_autoptr(sqlite3_stmt) row = reader == NULL
                                      ? NULL
                                      : database_query(reader,
                                                       "SELECT value FROM measures WHERE manifest=?1 AND what=?2 AND"
                                                       " sum=row_sum(manifest, what, value)",
                                                       "dt", manifest, what);
    if (row == NULL || !database_step(row, NULL)) {
        return NULL;
    }
    return g_bytes_new(sqlite3_column_blob(row, 0), (gsize)sqlite3_column_bytes(row, 0));
}

void storage_keep_measure(Storage *storage, const IngotDigest *manifest, const char *what, GBytes *value)
{
    gsize size;
    const void *data = g_bytes_get_data(value, &size);
    database_change(storage->catalogue, NULL, NULL,
                    "INSERT OR REPLACE INTO measures (manifest, what, value, sum)"
                    " VALUES (?1, ?2, ?3, row_sum(?1, ?2, ?3))",
                    "dtb", manifest, what, data, size);
}
