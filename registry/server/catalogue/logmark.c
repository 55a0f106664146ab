#include "server/catalogue/logmark.h"

#include <ingot/error.h>

#include "server/catalogue/rowsum.h"

static gint64 mark_sum(const EventMark *mark)
{
    return row_sum("iid", (gint64)mark->number, (gint64)mark->end, &mark->hash);
}

static gboolean mark_damaged(GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                "catalogue: the row that says how far the log of events goes is damaged");
    return FALSE;
}

/* The length that a version without numbers has left; its sum is that of the key and the value. */
static gboolean mark_old(Connection *connection, EventMark *mark, LogMarkKind *kind, GError **error)
{
    g_autoptr(sqlite3_stmt) row = database_query(connection, "SELECT value, sum FROM state WHERE key='names_end'", "");
    GError *problem = NULL;
    if (!database_step(row, &problem)) {
        if (problem != NULL) {
            g_propagate_error(error, problem);
        }
        return problem == NULL;
    }
    gint64 end = sqlite3_column_int64(row, 0);
    if (end < 0 || sqlite3_column_int64(row, 1) != row_sum("ti", "names_end", end)) {
        return mark_damaged(error);
    }
    mark->end = (guint64)end;
    *kind = LOGMARK_OLD;
    return TRUE;
}

gboolean logmark_get(Connection *connection, EventMark *mark, LogMarkKind *kind, GError **error)
{
    g_autoptr(sqlite3_stmt) row = database_query(connection, "SELECT number, size, hash, sum FROM events_mark", "");
    GError *problem = NULL;
    *mark = (EventMark){0};
    *kind = LOGMARK_NONE;
    if (!database_step(row, &problem)) {
        if (problem != NULL) {
            g_propagate_error(error, problem);
            return FALSE;
        }
        return mark_old(connection, mark, kind, error);
    }
    mark->number = (guint64)sqlite3_column_int64(row, 0);
    mark->end = (guint64)sqlite3_column_int64(row, 1);
    *kind = LOGMARK_KNOWN;
    return (database_digest(row, 2, &mark->hash) && sqlite3_column_int64(row, 3) == mark_sum(mark)) ||
           mark_damaged(error);
}

gboolean logmark_set(Connection *writer, const EventMark *mark, GError **error)
{
    return database_run(writer, error,
                        "INSERT INTO events_mark (id, number, size, hash, sum) VALUES (1, ?, ?, ?, ?) ON CONFLICT (id)"
                        " DO UPDATE SET number=excluded.number, size=excluded.size, hash=excluded.hash,"
                        " sum=excluded.sum",
                        "iidi", (gint64)mark->number, (gint64)mark->end, &mark->hash, mark_sum(mark));
}
