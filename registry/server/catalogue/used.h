/* When each manifest of a repository was pulled last, to the minute or so. Pulls are noted in batches
 * (storage/pulls.h), and only since a certain time: what was pulled before is not known, so nothing counts as unused
 * since before then. */
#pragma once

#include "server/catalogue/database.h"

typedef struct {
    IngotDigest manifest;
    gint64 at; /* seconds since 1970 */
} Used;
/* GArray of Used: of one repository; free it. */
GArray *used_list(Connection *connection, gint64 repository, GError **error);
/* Since when pulls are noted in this catalogue. */
gboolean used_since(Connection *connection, gint64 *since, GError **error);
/* Notes a pull; nothing happens where the repository is not there. */
gboolean used_note(Connection *writer, const char *repository, const IngotDigest *manifest, gint64 at, GError **error);
/* Forgets what the repository does not have any more. */
gboolean used_prune(Connection *writer, gint64 repository, GError **error);
