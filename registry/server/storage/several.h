/* What an index names: the manifests that it has as entries, which clients take in its place. */
#pragma once

#include <glib.h>

#include "server/storage/storage.h"

/* GArray of IngotDigest, in their order, of mentions that are resolved (mentions.h). */
GArray *several_of_mentions(const GArray *mentions);
/* The same of a manifest of the repository: none where it is no index. NULL: it can't be read. */
GArray *storage_several(Storage *storage, const char *name, const IngotDigest *digest, GError **error);
