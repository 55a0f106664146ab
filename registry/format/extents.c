#include "format/extents.h"

#include "format/input.h"

guint64 extents_divide_up(guint64 value, guint64 by)
{
    return value / by + (value % by != 0);
}

/* The first block that a chunk touches may be the last of the run before. */
static void add_chunk(GArray *extents, const IngotChunk *chunk, guint64 block)
{
    guint64 from = chunk->offset / block, to = extents_divide_up(chunk->offset + chunk->length, block);
    Extent *last = extents->len == 0 ? NULL : &g_array_index(extents, Extent, extents->len - 1);
    if (last != NULL && from <= last->first + last->count) {
        last->count = MAX(last->count, to - last->first);
        return;
    }
    Extent extent = {.first = from, .count = to - from};
    g_array_append_val(extents, extent);
}

GArray *extents_find(const IngotIndex *index, guint64 block)
{
    GArray *extents = g_array_new(FALSE, FALSE, sizeof(Extent));
    for (guint i = 0; i < index->chunks->len; i++) {
        const IngotChunk *chunk = ingot_index_chunk(index, i);
        if (!chunk->hole) {
            add_chunk(extents, chunk, block);
        }
    }
    return extents;
}

guint64 extents_count(const GArray *extents)
{
    guint64 count = 0;
    for (guint i = 0; i < extents->len; i++) {
        count += g_array_index(extents, Extent, i).count;
    }
    return count;
}

void extents_add(IngotLayout *layout, const GArray *extents, guint64 block, const IngotFormatInput *input)
{
    guint64 disk_size = input_index(input)->disk_size, base = input_base(input);
    for (guint i = 0; i < extents->len; i++) {
        const Extent *extent = &g_array_index(extents, Extent, i);
        guint64 from = extent->first * block, to = from + extent->count * block, end = MIN(to, disk_size);
        ingot_layout_add_disk(layout, base + from, end - from);
        ingot_layout_add_zeros(layout, to - end);
    }
}
