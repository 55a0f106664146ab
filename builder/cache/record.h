/* What was built before: the plan's key of an image leads to the manifest that came of it.
 *
 * A record is one small file, CACHE/images/HEX.json, replaced whole. It only points into a store: a record whose image
 * is no longer there counts as none. */
#pragma once

#include <ingot/store.h>

/* FALSE without an error: no such record, or its manifest is not in the store. */
gboolean record_find(const char *cache, IngotStore *store, const IngotDigest *key, IngotDescriptor *manifest);
gboolean record_save(const char *cache, const IngotDigest *key, const IngotDescriptor *manifest, GError **error);
