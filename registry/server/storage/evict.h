/* Eviction: images that came from an upstream go where what is kept takes more room than StorageLimits.cache, those
 * that were used longest ago first, and no more of them than must.
 *
 * An image goes as a whole: its tags, its manifests (those that need one another, as an index and its entries, and what
 * is attached), and the blobs that nothing else needs. If any manifest of it was pushed here, it stays. The image that
 * was used last stays too: one larger than the limit would else be copied at every pull. */
#pragma once

#include "server/storage/garbage.h"
#include "server/storage/picture.h"

/* Fills Collection.evicted; reader: holds one state of the catalogue. */
gboolean eviction_choose(Collection *collection, Connection *reader, GError **error);
/* Marks what was chosen of the repository. */
void eviction_mark(GHashTable *evicted, Picture *picture);
/* Whether the limit is exceeded now. */
gboolean eviction_is_due(Storage *storage);
