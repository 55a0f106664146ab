/* Cutting a disk by content: block-aligned content-defined chunking.
 *
 * File systems move data by whole blocks, so only block boundaries are looked at: each block of INGOT_BLOCK_SIZE bytes
 * gets one XXH3 hash, and a chunk ends after the block whose hash has its low bits zero. No chunk is shorter than a
 * quarter of the average (but at the end of data) or longer than four times it. An all-zero block ends a chunk; runs of
 * them are holes, cut at multiples of INGOT_HOLE_MAX so that equal holes are equal frames. Where a cut falls depends on
 * the bytes alone. */
#pragma once

#include <glib.h>

#define CHUNKER_AVERAGE (128u << 10) /* bytes; the README has the figures for 16 to 128 KiB */

/* average is a power of two of at least 16 KiB. */
gboolean chunker_average_valid(guint32 average);
/* The longest chunk, in bytes. */
gsize chunker_max(guint32 average);
/* The length of the first chunk of data, which holds no all-zero block at its start; size is at least chunker_max or
 * all there is before a hole or the disk's end. */
gsize chunker_cut(const guint8 *data, gsize size, guint32 average);
gboolean chunker_is_zero(const void *data, gsize size);
