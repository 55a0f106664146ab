/* Small blobs and manifests: from the store, or from a registry into the store. One that is damaged is fetched anew. */
#pragma once

#include <ingot/remote.h>
#include <ingot/store.h>

/* Held from then on. *received is raised by the bytes that came over the network. */
GBytes *fetch_blob(IngotStore *store, IngotRemote *remote, const char *name, const IngotDescriptor *blob, gsize limit,
                   guint64 *received, GError **error);
/* The same for a manifest by its digest, as text; *out is its descriptor. */
GBytes *fetch_manifest(IngotStore *store, IngotRemote *remote, const char *name, const char *digest,
                       IngotDescriptor *out, guint64 *received, GError **error);
/* Says that the size which the manifest gives a blob is wrong. Always FALSE. */
gboolean fetch_refuse_size(const char *name, const IngotDescriptor *blob, const char *why, GError **error);
