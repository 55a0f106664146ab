/* The repositories that the catalogue knows, each with an id of its own. A row whose sum is wrong is not there. */
#pragma once

#include "server/catalogue/database.h"

/* The repository's id; 0: it is not there; -1: an error. */
gint64 repositories_find(Connection *connection, const char *name, GError **error);
/* The same; makes it where it is not there. */
gint64 repositories_make(Connection *connection, const char *name, GError **error);
/* The names of those that have a tag, sorted; free with g_strfreev. */
char **repositories_list(Connection *connection, GError **error);

typedef struct {
    guint64 repositories, manifests, tags; /* repositories that have anything */
} NameCounts;
gboolean repositories_count(Connection *connection, NameCounts *counts, GError **error);
