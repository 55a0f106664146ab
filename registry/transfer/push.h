/* Parts of a push, for whoever sends a disk without its image. */
#pragma once

#include <ingot/transfer.h>

#include "remote/ours.h"

/* A disk of the store that the registry does not have, as ingot_remote_put_disk sends it: what the store knows of its
 * frames is told, and what had to be worked out it knows from then on. */
gboolean ingot_transfer_push_disk(IngotStore *store, IngotRemote *remote, const char *name, const IngotDescriptor *disk,
                                  IngotIndex *index, const IngotMeanwhile *meanwhile, IngotProgress *progress,
                                  guint64 *sent, GError **error);
