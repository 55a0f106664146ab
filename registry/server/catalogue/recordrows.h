/* Records: what is kept of names besides blobs, manifests and tags, as JSON objects by kind, name and key. They hold
 * what nothing else can tell (a revocation, a pipeline's gates, a channel's moves), so a row whose sum is wrong is
 * never passed over: whoever asks for it gets CORRUPT, which names what mends it. */
#pragma once

#include "base/json.h"
#include "server/catalogue/database.h"

typedef struct {
    const char *kind, *name, *key;
    const json_t *body;
    gint64 at;               /* seconds */
    const char *by, *reason; /* NULL: not known */
} RecordRow;

/* In the place of the one that has its kind, name and key. */
gboolean record_rows_put(Connection *writer, const RecordRow *row, GError **error);
/* One that has no such place: an error where there is one already. */
gboolean record_rows_add(Connection *writer, const RecordRow *row, GError **error);
gboolean record_rows_drop(Connection *writer, const char *kind, const char *name, const char *key, GError **error);

/* Bytes of the keys and bodies of a kind and name, as they are kept. */
gboolean record_rows_size(Connection *connection, const char *kind, const char *name, guint64 *bytes, GError **error);
/* The names that have one of a kind, in their order. Free it. NULL: an error. */
char **record_rows_names(Connection *connection, const char *kind, GError **error);

/* FALSE ends the walk. The row is the walk's. */
typedef gboolean (*RecordRowFunc)(const RecordRow *row, gpointer user);
/* Those of a kind (NULL: any), of a name (NULL: any), with a key (NULL: any), the highest keys of each name first.
 * CORRUPT: one of them is damaged; the function has been called for those before it. */
gboolean record_rows_each(Connection *connection, const char *kind, const char *name, const char *key,
                          RecordRowFunc func, gpointer user, GError **error);
/* Whether a row is given to the walk at all, by its name and the text of its body as it is kept (canonical JSON). */
typedef gboolean (*RecordRowWants)(const char *name, const char *text, gpointer user);
/* Those of a kind with a key, of all names, that are wanted. The others are not parsed, but CORRUPT where they are
 * damaged. */
gboolean record_rows_each_wanted(Connection *connection, const char *kind, const char *key, RecordRowWants wants,
                                 RecordRowFunc func, gpointer user, GError **error);
/* The moves (kind "move") of a name with keys below one, the highest first: of a channel, or of all (NULL). Those of
 * which the channel can't be read come before a channel's: they might be of it. CORRUPT as above. */
gboolean record_rows_each_move(Connection *connection, const char *name, const char *channel, const char *below,
                               RecordRowFunc func, gpointer user, GError **error);
