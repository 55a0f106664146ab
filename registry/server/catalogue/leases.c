#include "server/catalogue/leases.h"

gboolean leases_epoch(Connection *connection, gint64 *epoch, GError **error)
{
    return database_number(connection, epoch, 0, error, "SELECT value FROM epoch", "");
}

gboolean leases_hold(Connection *writer, const char *id, gint64 now, gint64 until, GError **error)
{
    return database_run(writer, error,
                        "INSERT INTO leases (id, until, epoch) VALUES (?1, ?3, (SELECT value FROM epoch)) ON CONFLICT"
                        " (id) DO UPDATE SET epoch=CASE WHEN leases.until>?2 THEN leases.epoch ELSE excluded.epoch END,"
                        " until=excluded.until",
                        "tii", id, now, until);
}

gboolean leases_set(Connection *writer, const char *id, gint64 epoch, gint64 until, GError **error)
{
    return database_run(writer, error,
                        "INSERT INTO leases (id, until, epoch) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
                        " until=excluded.until, epoch=excluded.epoch",
                        "tii", id, until, epoch);
}

gboolean leases_find(Connection *connection, const char *id, gint64 *epoch, GError **error)
{
    return leases_epoch(connection, epoch, error) &&
           database_number(connection, epoch, *epoch, error, "SELECT epoch FROM leases WHERE id=?", "t", id);
}

gboolean leases_drop(Connection *writer, const char *id, GError **error)
{
    return database_run(writer, error, "DELETE FROM leases WHERE id=?", "t", id);
}

gboolean leases_clear(Connection *writer, GError **error)
{
    return database_run(writer, error, "DELETE FROM leases", "");
}

gboolean leases_tidy(Connection *writer, gint64 now, GError **error)
{
    return database_run(writer, error, "DELETE FROM leases WHERE until<=?", "i", now);
}

gboolean leases_oldest(Connection *connection, gint64 now, gint64 *epoch, GError **error)
{
    return database_number(connection, epoch, G_MAXINT64, error,
                           "SELECT epoch FROM leases WHERE until>? ORDER BY epoch LIMIT 1", "i", now);
}

gboolean leases_advance(Connection *writer, gint64 *epoch, GError **error)
{
    return database_run(writer, error, "UPDATE epoch SET value=value+1", "") && leases_epoch(writer, epoch, error);
}
