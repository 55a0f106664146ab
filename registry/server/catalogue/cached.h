/* Cached: which manifests of a repository came from an upstream, and may go where room is short, for they can be had
 * again. One that was pushed here, before or after, is not among them. A row whose digest is damaged names nothing, and
 * so lets nothing go. */
#pragma once

#include "server/catalogue/database.h"

/* GArray of IngotDigest: of one repository; free it. */
GArray *cached_list(Connection *connection, gint64 repository, GError **error);
gboolean cached_has(Connection *connection, gint64 repository, const IngotDigest *manifest, gboolean *has,
                    GError **error);
gboolean cached_add(Connection *writer, gint64 repository, const IngotDigest *manifest, GError **error);
/* *dropped (may be NULL): it was there. */
gboolean cached_drop(Connection *writer, gint64 repository, const IngotDigest *manifest, gboolean *dropped,
                     GError **error);
