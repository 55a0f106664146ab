/* Links: which repository has which blob, and since when. A row whose sum is wrong is not there. */
#pragma once

#include "server/catalogue/database.h"

/* A blob's id; 0: it is not there; -1: an error. */
gint64 links_blob(Connection *connection, const IngotDigest *digest, GError **error);
/* Both ids of a blob that a repository has; 0 where it does not. */
gboolean links_find(Connection *connection, const char *name, const IngotDigest *digest, gint64 *repository,
                    gint64 *blob, GError **error);
/* sizes[i] is the size of the blob digests[i] where the repository has it, else -1. */
gboolean links_sizes(Connection *connection, gint64 repository, const IngotDigest *digests, guint count, gint64 *sizes,
                     GError **error);

/* Links them, or renews the link: `made` is when its grace begins. *added (may be NULL): it was not there. */
gboolean links_add(Connection *connection, gint64 repository, gint64 blob, gint64 made, gboolean *added,
                   GError **error);
/* Lets the grace of what a repository has begin then, where it began before; nothing happens where it does not have it.
 */
gboolean links_renew(Connection *connection, const char *name, const IngotDigest *digest, gint64 made, GError **error);
/* When its grace began; 0: the repository does not have it. */
gboolean links_made(Connection *connection, const char *name, const IngotDigest *digest, gint64 *made, GError **error);
gboolean links_drop(Connection *connection, gint64 repository, gint64 blob, GError **error);
/* Bytes of all blobs that the repository has, and of this one. */
gboolean links_bytes(Connection *connection, gint64 repository, gint64 blob, guint64 *bytes, GError **error);

/* The names of the repositories that have the blob, sorted; free with g_strfreev. */
char **links_holders(Connection *connection, const IngotDigest *digest, GError **error);
