#include "image/smallreads.h"

#include <string.h>

/* The block that the offset lies in, of which the disk may have a part or nothing. */
static gboolean fill(SmallReads *reads, guint64 offset, GError **error)
{
    guint64 at = offset / SMALL_READ_BLOCK * SMALL_READ_BLOCK, all = ingot_blocks_size(reads->blocks);
    if (reads->full && reads->at == at) {
        return TRUE;
    }
    memset(reads->bytes, 0, sizeof reads->bytes);
    reads->at = at;
    reads->full =
        at >= all || ingot_blocks_read(reads->blocks, at, reads->bytes, MIN(SMALL_READ_BLOCK, all - at), error);
    return reads->full;
}

gboolean small_read(SmallReads *reads, guint64 offset, void *buffer, gsize size, GError **error)
{
    for (gsize done = 0; done < size;) {
        if (!fill(reads, offset + done, error)) {
            return FALSE;
        }
        gsize skip = offset + done - reads->at, part = MIN(size - done, SMALL_READ_BLOCK - skip);
        memcpy((guint8 *)buffer + done, reads->bytes + skip, part);
        done += part;
    }
    return TRUE;
}
