/* The inside of a layout, for those who go through all of it. */
#pragma once

#include <ingot/layout.h>

typedef enum { LAYOUT_BYTES, LAYOUT_ZEROS, LAYOUT_DISK, LAYOUT_INNER } LayoutKind;

typedef struct {
    LayoutKind kind;
    guint64 start, size; /* in the layout; size > 0 */
    guint64 offset;      /* LAYOUT_DISK: on the disk */
    GBytes *bytes;       /* LAYOUT_BYTES */
    IngotLayout *inner;  /* LAYOUT_INNER: the whole of it */
} LayoutSegment;

const GArray *layout_segments(const IngotLayout *layout); /* of LayoutSegment, ascending */
