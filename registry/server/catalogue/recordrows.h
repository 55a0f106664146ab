/* Records: what is kept of names besides blobs, manifests and tags, as JSON texts by kind, name and key. A row whose
 * sum is wrong is not there. */
#pragma once

#include "server/catalogue/database.h"

typedef struct {
    const char *kind, *name, *key, *body;
    gint64 at;               /* seconds */
    const char *by, *reason; /* NULL: not known */
} RecordRow;

/* In the place of the one that has its kind, name and key. */
gboolean record_rows_put(Connection *writer, const RecordRow *row, GError **error);
gboolean record_rows_drop(Connection *writer, const char *kind, const char *name, const char *key, GError **error);

/* FALSE ends the walk. */
typedef gboolean (*RecordRowFunc)(const RecordRow *row, gpointer user);
/* Those of a kind (NULL: any), of a name (NULL: any), with a key (NULL: any), the highest keys first. */
gboolean record_rows_each(Connection *connection, const char *kind, const char *name, const char *key,
                          RecordRowFunc func, gpointer user, GError **error);
