/* Which blocks of a disk hold data, for formats that leave out the others. */
#pragma once

#include <ingot/format.h>

typedef struct {
    guint64 first, count; /* blocks */
} Extent;

/* The runs of blocks of that size (bytes, a multiple of INGOT_BLOCK_SIZE) that a chunk with data touches: GArray of
 * Extent, ascending, apart from each other; free it. */
GArray *extents_find(const IngotIndex *index, guint64 block);
/* How many blocks they are. */
guint64 extents_count(const GArray *extents);
/* value / by, rounded up. */
guint64 extents_divide_up(guint64 value, guint64 by);
/* Appends the bytes of the input's disk of all extents, one after another; the last block is filled up with zeros where
 * the disk ends in it. */
void extents_add(IngotLayout *layout, const GArray *extents, guint64 block, const IngotFormatInput *input);
