/* The store's tables of frames (image/frames.h): frames/HEX belongs to the disk blob of that digest, which was packed
 * here. They save time and nothing else: one that is damaged or cannot be written is not spoken of, and one whose blob
 * has gone goes too. */
#pragma once

#include "image/frames.h"
#include "store/layout.h"

/* The frames of the blobs that were packed last, as many as are worth the time to read their tables. */
IngotFrames *frametables_open(IngotStore *store);
void frametables_keep(const IngotStore *store, const IngotDigest *blob, GBytes *table);
void frametables_drop(const IngotStore *store, const IngotDigest *blob);
