#include "server/catalogue/diary.h"

gboolean diary_get(Connection *connection, const char *key, gint64 otherwise, gint64 *value, GError **error)
{
    return database_number(connection, value, otherwise, error, "SELECT value FROM diary WHERE key=?", "t", key);
}

gboolean diary_set(Connection *writer, const char *key, gint64 value, GError **error)
{
    return database_run(writer, error,
                        "INSERT INTO diary (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET"
                        " value=excluded.value",
                        "ti", key, value);
}
