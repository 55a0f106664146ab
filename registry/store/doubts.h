/* Doubts: indexes that were found to be wrong about their disk, or right about one that is damaged, when frames were
 * taken by them. While that disk is the same file each frame is looked at: a pull that fetches the disk again ends the
 * doubt.
 *
 * doubts/HEX is of the index with that digest: the disk file's stamp (base/unchanged.h). It is a hint: one that
 * can't be read or written is as if it were not there. */
#pragma once

#include "store/layout.h"

/* disk: the path of the disk's blob. */
void doubts_note(const IngotStore *store, const IngotDigest *index, const char *disk);
gboolean doubts_has(const IngotStore *store, const IngotDigest *index, const char *disk);
void doubts_drop(const IngotStore *store, const IngotDigest *index);
