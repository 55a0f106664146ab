/* The store's tables of frames (image/frames.h): frames/HEX belongs to the disk blob of that digest, which was packed
 * here; checked/HEX to one each chunk of which was found right by its digest, wherever it comes from
 * (ingot_disk_table). They save time and nothing else: one that is damaged or cannot be written is not spoken of, and
 * one whose blob has gone goes too. */
#pragma once

#include "image/frames.h"
#include "store/layout.h"

/* The frames of the blobs that were packed last, as many as are worth the time to read their tables. */
IngotFrames *frametables_open(IngotStore *store);
void frametables_keep(const IngotStore *store, const IngotDigest *blob, GBytes *table);
void frametables_write(const char *path, GBytes *table);
GBytes *frametables_read(const char *path); /* NULL: it is not there; free it */
/* Where it is remembered that a blob was found right; free it. */
char *frametables_checked(const IngotStore *store, const IngotDigest *blob);
void frametables_drop(const IngotStore *store, const IngotDigest *blob);
