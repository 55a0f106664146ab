#include "image/chunker.h"

#include <ingot/index.h>
#include <string.h>
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

gboolean chunker_average_valid(guint32 average)
{
    return average >= 4 * INGOT_BLOCK_SIZE && average <= (1u << 20) && (average & (average - 1)) == 0;
}

gsize chunker_max(guint32 average)
{
    return (gsize)average * 4;
}

gboolean chunker_is_zero(const void *data, gsize size)
{
    const guint8 *bytes = data;
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

gsize chunker_cut(const guint8 *data, gsize size, guint32 average)
{
    guint64 mask = average / INGOT_BLOCK_SIZE - 1;
    gsize least = average / 4, most = MIN(size, chunker_max(average)), end = 0;
    while (end < most) {
        gsize block = MIN((gsize)INGOT_BLOCK_SIZE, most - end);
        if (end > 0 && chunker_is_zero(data + end, block)) {
            return end;
        }
        guint64 hash = XXH3_64bits(data + end, block);
        end += block;
        if (end >= least && (hash & mask) == 0) {
            return end;
        }
    }
    return end;
}
