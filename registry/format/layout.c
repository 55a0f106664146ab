#include <ingot/error.h>
#include <ingot/layout.h>
#include <string.h>

#include "format/segments.h"

struct IngotLayout {
    gatomicrefcount references;
    guint64 size;
    gboolean coded;   /* it or a layout in it has coded blocks */
    GArray *segments; /* of LayoutSegment, ascending */
};

static void segment_clear(gpointer data)
{
    LayoutSegment *segment = data;
    if (segment->kind == LAYOUT_BYTES) {
        g_bytes_unref(segment->bytes);
    } else if (segment->kind == LAYOUT_INNER) {
        ingot_layout_unref(segment->inner);
    }
}

IngotLayout *ingot_layout_new(void)
{
    IngotLayout *layout = g_new0(IngotLayout, 1);
    g_atomic_ref_count_init(&layout->references);
    layout->segments = g_array_new(FALSE, FALSE, sizeof(LayoutSegment));
    g_array_set_clear_func(layout->segments, segment_clear);
    return layout;
}

IngotLayout *ingot_layout_ref(IngotLayout *layout)
{
    g_atomic_ref_count_inc(&layout->references);
    return layout;
}

void ingot_layout_unref(IngotLayout *layout)
{
    if (layout != NULL && g_atomic_ref_count_dec(&layout->references)) {
        g_array_unref(layout->segments);
        g_free(layout);
    }
}

guint64 ingot_layout_size(const IngotLayout *layout)
{
    return layout->size;
}

gsize ingot_layout_memory(const IngotLayout *layout)
{
    gsize size = sizeof *layout + layout->segments->len * sizeof(LayoutSegment);
    for (guint i = 0; i < layout->segments->len; i++) {
        const LayoutSegment *segment = &g_array_index(layout->segments, LayoutSegment, i);
        size += segment->kind == LAYOUT_BYTES   ? g_bytes_get_size(segment->bytes)
                : segment->kind == LAYOUT_INNER ? ingot_layout_memory(segment->inner)
                                                : 0;
    }
    return size;
}

const GArray *layout_segments(const IngotLayout *layout)
{
    return layout->segments;
}

static LayoutSegment *last_segment(IngotLayout *layout, LayoutKind kind)
{
    LayoutSegment *last =
        layout->segments->len == 0 ? NULL : &g_array_index(layout->segments, LayoutSegment, layout->segments->len - 1);
    return last != NULL && last->kind == kind ? last : NULL;
}

static void add(IngotLayout *layout, LayoutSegment segment)
{
    if (segment.size > 0) {
        segment.start = layout->size;
        layout->size += segment.size;
        g_array_append_val(layout->segments, segment);
    } else {
        segment_clear(&segment);
    }
}

void ingot_layout_add_bytes(IngotLayout *layout, const void *bytes, gsize size)
{
    add(layout, (LayoutSegment){.kind = LAYOUT_BYTES, .size = size, .bytes = g_bytes_new(bytes, size)});
}

/* Neighbours of one kind are one segment. */
void ingot_layout_add_zeros(IngotLayout *layout, guint64 size)
{
    LayoutSegment *last = last_segment(layout, LAYOUT_ZEROS);
    if (last != NULL) {
        last->size += size;
        layout->size += size;
    } else {
        add(layout, (LayoutSegment){.kind = LAYOUT_ZEROS, .size = size});
    }
}

void ingot_layout_add_disk(IngotLayout *layout, guint64 offset, guint64 size)
{
    LayoutSegment *last = last_segment(layout, LAYOUT_DISK);
    if (last != NULL && last->offset + last->size == offset) {
        last->size += size;
        layout->size += size;
    } else {
        add(layout, (LayoutSegment){.kind = LAYOUT_DISK, .size = size, .offset = offset});
    }
}

void layout_add_coded(IngotLayout *layout, const Codec *codec, guint64 offset, guint32 size)
{
    layout->coded = TRUE;
    add(layout, (LayoutSegment){.kind = LAYOUT_CODED, .size = size, .offset = offset, .codec = codec});
}

gboolean layout_is_coded(const IngotLayout *layout)
{
    return layout->coded;
}

void ingot_layout_add_layout(IngotLayout *layout, IngotLayout *inner)
{
    layout->coded = layout->coded || inner->coded;
    add(layout, (LayoutSegment){.kind = LAYOUT_INNER, .size = inner->size, .inner = ingot_layout_ref(inner)});
}

void ingot_layout_pad(IngotLayout *layout, guint64 multiple)
{
    guint64 over = layout->size % multiple;
    ingot_layout_add_zeros(layout, over == 0 ? 0 : multiple - over);
}

/* --- reading --- */

static guint segment_at(const IngotLayout *layout, guint64 offset)
{
    guint low = 0, high = layout->segments->len;
    while (high - low > 1) {
        guint middle = low + (high - low) / 2;
        if (g_array_index(layout->segments, LayoutSegment, middle).start <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Made anew: a library that compresses otherwise than when the block was measured would give another file. */
static gboolean make_coded(const LayoutSegment *segment, guint64 within, void *buffer, gsize size, IngotDisk *disk,
                           GError **error)
{
    g_autoptr(Coder) coder = coder_take(segment->codec);
    guint32 made;
    const guint8 *bytes = coder_block(coder, disk, segment->offset, &made, error);
    if (bytes == NULL) {
        return FALSE;
    }
    if (made != segment->size) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "the block at offset %" G_GUINT64_FORMAT
                    " is %u bytes by %s, but was measured as %" G_GUINT64_FORMAT,
                    segment->offset, made, segment->codec->name(), segment->size);
        return FALSE;
    }
    memcpy(buffer, bytes + within, size);
    return TRUE;
}

static gboolean read_coded(const LayoutSegment *segment, guint64 within, void *buffer, gsize size, IngotDisk *disk,
                           const Early *early, GError **error)
{
    gboolean found;
    return early_read(early, segment->offset, (guint32)segment->size, within, buffer, size, &found, error) &&
           (found || make_coded(segment, within, buffer, size, disk, error));
}

static gboolean read_segment(const LayoutSegment *segment, guint64 within, void *buffer, gsize size, IngotDisk *disk,
                             const Early *early, GError **error)
{
    switch (segment->kind) {
    case LAYOUT_BYTES:
        memcpy(buffer, (const guint8 *)g_bytes_get_data(segment->bytes, NULL) + within, size);
        return TRUE;
    case LAYOUT_ZEROS:
        memset(buffer, 0, size);
        return TRUE;
    case LAYOUT_DISK:
        return ingot_disk_read(disk, segment->offset + within, buffer, size, error);
    case LAYOUT_CODED:
        return read_coded(segment, within, buffer, size, disk, early, error);
    case LAYOUT_INNER:
        return layout_read_early(segment->inner, within, buffer, size, disk, early, error);
    }
    g_assert_not_reached();
}

gboolean layout_read_early(const IngotLayout *layout, guint64 offset, void *buffer, gsize size, IngotDisk *disk,
                           const Early *early, GError **error)
{
    if (offset > layout->size || size > layout->size - offset) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%zu bytes at offset %" G_GUINT64_FORMAT " are not within the file, which has %" G_GUINT64_FORMAT,
                    size, offset, layout->size);
        return FALSE;
    }
    guint i = size == 0 ? 0 : segment_at(layout, offset);
    for (guint8 *at = buffer; size > 0; i++) {
        const LayoutSegment *segment = &g_array_index(layout->segments, LayoutSegment, i);
        guint64 within = offset - segment->start;
        gsize count = (gsize)MIN((guint64)size, segment->size - within);
        if (!read_segment(segment, within, at, count, disk, early, error)) {
            return FALSE;
        }
        at += count;
        offset += count;
        size -= count;
    }
    return TRUE;
}

gboolean ingot_layout_read(const IngotLayout *layout, guint64 offset, void *buffer, gsize size, IngotDisk *disk,
                           GError **error)
{
    return layout_read_early(layout, offset, buffer, size, disk, NULL, error);
}

gboolean ingot_layout_run(const IngotLayout *layout, guint64 offset, guint64 size, guint64 *at)
{
    const LayoutSegment *segment = &g_array_index(layout->segments, LayoutSegment, segment_at(layout, offset));
    guint64 within = offset - segment->start;
    if (segment->size - within < size) {
        return FALSE;
    }
    if (segment->kind == LAYOUT_INNER) {
        return ingot_layout_run(segment->inner, within, size, at);
    }
    *at = segment->offset + within;
    return segment->kind == LAYOUT_DISK;
}
