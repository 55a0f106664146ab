/* The diary: numbers that upkeep goes by after a restart: when it did what last, and how far it is. */
#pragma once

#include "server/catalogue/database.h"

/* The number of the key; `otherwise` where there is none. */
gboolean diary_get(Connection *connection, const char *key, gint64 otherwise, gint64 *value, GError **error);
gboolean diary_set(Connection *writer, const char *key, gint64 value, GError **error);
