/* Measures: what must be known of all of a disk's bytes before a file can be laid out. Each takes a pass over the disk,
 * on all cores, unless the caller of the format has kept it from before. */
#pragma once

#include <ingot/format.h>

#include "format/codec.h"
#include "format/extents.h"

/* Where coded blocks stand in a layout. */
typedef struct {
    /* The place of the next block, which has that number on the disk and that size. */
    guint64 (*next)(gpointer state, guint64 block, guint32 size);
    gpointer state;
} MeasurePlaces;

/* How large each block of the extents (of codec->block bytes) of the input's disk is when it is coded, in their order:
 * an array of as many guint32 as they have blocks; free it. By their places they are written on the way, where the
 * input is for a file (early.h). */
guint32 *measure_blocks(const IngotFormatInput *input, const Codec *codec, const GArray *extents,
                        const MeasurePlaces *places, GError **error);
