/* Measures: what must be known of all of a disk's bytes before a file can be laid out. Each takes a pass over the disk,
 * on all cores, unless the caller of the format has kept it from before. */
#pragma once

#include <ingot/format.h>

#include "format/codec.h"
#include "format/extents.h"

/* How large each block of the extents (of codec->block bytes) is when it is coded, in their order: an array of as many
 * guint32 as they have blocks; free it. */
guint32 *measure_blocks(const IngotFormatInput *input, const Codec *codec, const GArray *extents, GError **error);
