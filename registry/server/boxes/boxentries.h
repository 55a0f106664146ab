/* The images that a version stands for: one, or those of an index (an OCI image index, which has one for each
 * architecture, or for each kind of box). */
#pragma once

#include "server/storage/storage.h"

#define BOX_ENTRIES_MAX 256u /* of an index; what stands behind them is not looked at */

/* GArray of IngotDigest, in the index's order, of those that are images of Ingot's and are here. */
GArray *box_entries(Storage *storage, const char *name, const IngotDigest *manifest);
