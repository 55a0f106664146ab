/* Parts of a push, for whoever sends a disk without its image. */
#pragma once

#include <ingot/transfer.h>

#include "remote/ours.h"

/* A disk of the store that the registry does not have, as ingot_remote_put_disk sends it: what the store knows of its
 * frames is told, and what had to be worked out it knows from then on. */
gboolean ingot_transfer_push_disk(IngotStore *store, IngotRemote *remote, const char *name, const IngotDescriptor *disk,
                                  IngotIndex *index, const IngotMeanwhile *meanwhile, IngotProgress *progress,
                                  guint64 *sent, GError **error);
/* As ingot_transfer_push, for whoever needs all that is attached at the destination: what other signatures there, by a
 * tag of cosign's, keep from being sent is an error in the end as well. */
gboolean ingot_transfer_push_whole(IngotStore *store, const IngotReference *image, const IngotReference *destination,
                                   const IngotPushOptions *options, IngotDescriptor *manifest, GError **error);
