/* Manifests of repositories: their media types, what each is attached to (its subject), and what each mentions.
 *
 * A mention is a digest, not a row: what is mentioned may come later, and is then needed. A manifest whose sum is wrong
 * is not there. */
#pragma once

#include "server/catalogue/database.h"

/* Keeps a blob of the repository as a manifest; *changed: it was not there, or otherwise. */
gboolean manifest_rows_put(Connection *connection, gint64 repository, gint64 blob, const char *type,
                           const IngotDigest *subject, gint64 made, gboolean *changed, GError **error);
/* *type is the media type of a manifest (free it), NULL where there is none. */
gboolean manifest_rows_type(Connection *connection, const char *name, const IngotDigest *digest, char **type,
                            GError **error);
/* Whether the repository has any manifest. */
gboolean manifest_rows_any(Connection *connection, const char *name, gboolean *any, GError **error);
/* Whether the repository has the blob as a manifest. */
gboolean manifest_rows_has(Connection *connection, gint64 repository, gint64 blob, gboolean *has, GError **error);
/* Drops it with what it mentions. */
gboolean manifest_rows_drop(Connection *connection, gint64 repository, gint64 blob, GError **error);

gboolean manifest_rows_mention(Connection *connection, gint64 repository, gint64 manifest, const IngotDigest *digest,
                               GError **error);

/* The digests, as text and sorted, of the manifests whose subject this is; free with g_strfreev. */
char **manifest_rows_referrers(Connection *connection, const char *name, const IngotDigest *subject, GError **error);
