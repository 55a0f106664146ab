#include "server/catalogue/counters.h"

#include <ingot/error.h>

gboolean counters_read(Connection *reader, Counters *counters, GError **error)
{
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) row =
        database_query(reader, "SELECT pieces, damaged, stored, blobs, logical, packed FROM counters WHERE id=1", "");
    if (!database_step(row, &problem)) {
        if (problem == NULL) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "the catalogue's counters are lost");
        } else {
            g_propagate_error(error, problem);
        }
        return FALSE;
    }
    *counters = (Counters){.pieces = (guint64)sqlite3_column_int64(row, 0),
                           .damaged = (guint64)sqlite3_column_int64(row, 1),
                           .stored = (guint64)sqlite3_column_int64(row, 2),
                           .blobs = (guint64)sqlite3_column_int64(row, 3),
                           .logical = (guint64)sqlite3_column_int64(row, 4),
                           .packed = (guint64)sqlite3_column_int64(row, 5)};
    return TRUE;
}

gboolean counters_pipelines(Connection *reader, gint64 *changes, GError **error)
{
    return database_number(reader, changes, 0, error, "SELECT pipelines FROM counters WHERE id=1", "");
}
