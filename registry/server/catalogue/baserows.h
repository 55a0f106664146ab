/* Bases: what each image's manifest says that it was built on: an edge from its digest to the base's, whatever
 * repositories have them. An edge follows from the manifest's bytes, so it can be read again; it stays for as long as
 * the image is here, or another one stands on it. A row whose sum is wrong is an error: what was said of a base warns
 * of all that stands on it. */
#pragma once

#include "server/catalogue/database.h"

/* name: what the manifest calls the base's repository; NULL: nothing. */
gboolean base_rows_put(Connection *writer, const IngotDigest *image, const IngotDigest *base, const char *name,
                       GError **error);
/* *found: it has a base; *name is free'd by the caller, NULL where the manifest names none, or where *unread: an older
 * version has noted the edge, and nobody has read the name yet. */
gboolean base_rows_find(Connection *connection, const IngotDigest *image, IngotDigest *base, char **name,
                        gboolean *unread, gboolean *found, GError **error);
/* GArray of IngotDigest: what stands on that base directly. */
GArray *base_rows_children(Connection *connection, const IngotDigest *base, GError **error);
/* Whether there are edges of images that are gone and that nothing stands on; drops them. */
gboolean base_rows_stale(Connection *connection, gboolean *any, GError **error);
gboolean base_rows_sweep(Connection *writer, GError **error);

/* The manifest that follows (*repository, *blob), which become its own: all manifests, one by one; *name (free it) is
 * its repository's. *found is FALSE behind the last. */
gboolean base_rows_next(Connection *connection, gint64 *repository, gint64 *blob, char **name, IngotDigest *digest,
                        gboolean *found, GError **error);
