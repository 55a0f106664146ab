/* Small reads of a disk, at any place: by whole blocks, as its server wants them, of which the last one is kept. */
#pragma once

#include <ingot/blocks.h>

#define SMALL_READ_BLOCK 4096u

typedef struct {
    IngotBlocks *blocks;
    gboolean full; /* there is a block */
    guint64 at;    /* where it begins */
    guint8 bytes[SMALL_READ_BLOCK];
} SmallReads;

/* What lies beyond the disk's end is zeros. */
gboolean small_read(SmallReads *reads, guint64 offset, void *buffer, gsize size, GError **error);
