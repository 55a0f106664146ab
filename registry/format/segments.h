/* The inside of a layout, for those who go through all of it or add what only formats may. */
#pragma once

#include <ingot/layout.h>

#include "format/codec.h"
#include "format/early.h"

typedef enum { LAYOUT_BYTES, LAYOUT_ZEROS, LAYOUT_DISK, LAYOUT_CODED, LAYOUT_INNER } LayoutKind;

typedef struct {
    LayoutKind kind;
    guint64 start, size; /* in the layout; size > 0 */
    guint64 offset;      /* LAYOUT_DISK, LAYOUT_CODED: on the disk */
    union {
        GBytes *bytes;      /* LAYOUT_BYTES */
        const Codec *codec; /* LAYOUT_CODED: of the block at offset */
        IngotLayout *inner; /* LAYOUT_INNER: the whole of it */
    };
} LayoutSegment;

const GArray *layout_segments(const IngotLayout *layout); /* of LayoutSegment, ascending */

/* As ingot_layout_read and ingot_layout_digest, but blocks that are in the file already are taken from there. */
gboolean layout_read_early(const IngotLayout *layout, guint64 offset, void *buffer, gsize size, IngotDisk *disk,
                           const Early *early, GError **error);
gboolean layout_digest_early(const IngotLayout *layout, IngotDisk *disk, const Early *early, IngotProgress *progress,
                             IngotDigest *digest, GError **error);

/* Writes the whole over what a descriptor has at its begin, zeros too, and sees to it that it is on the disk. */
gboolean layout_write_over(const IngotLayout *layout, IngotDisk *disk, int fd, const char *name,
                           IngotProgress *progress, GError **error);

/* Appends a block of the disk as the codec makes it: size bytes, which were measured (measure.h). */
void layout_add_coded(IngotLayout *layout, const Codec *codec, guint64 offset, guint32 size);
/* Whether it, or a layout in it, has such a block. */
gboolean layout_is_coded(const IngotLayout *layout);
