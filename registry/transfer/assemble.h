/* A disk blob put together from frames that images of the store have, and from frames that are fetched.
 *
 * Every frame is decoded and checked against the index before it is written to its place, whichever way it came; in the
 * end the whole blob must have its digest. */
#pragma once

#include <ingot/transfer.h>

gboolean assemble_disk(IngotStore *store, IngotRemote *remote, const char *name, IngotIndex *index,
                       const IngotDescriptor *disk, IngotProgress *progress, guint64 *received, GError **error);
