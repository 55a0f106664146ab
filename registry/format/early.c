#include "format/early.h"

#include "base/file.h"

#include "format/input.h"
#include "format/segments.h"

/* A block that is in the file. */
typedef struct {
    guint64 offset, place; /* on the disk; in the file */
    guint32 size;
} EarlyBlock;

struct IngotFormatEarly {
    int fd;
    const char *name;
    guint64 base;   /* of the layout in the file of the disk that is being measured */
    GArray *blocks; /* of EarlyBlock, by offset */
};

Early *early_new(int fd, const char *name)
{
    Early *early = g_new0(Early, 1);
    early->fd = fd;
    early->name = name;
    early->blocks = g_array_new(FALSE, FALSE, sizeof(EarlyBlock));
    return early;
}

void early_free(Early *early)
{
    if (early != NULL) {
        g_array_unref(early->blocks);
        g_free(early);
    }
}

/* --- writing --- */

/* Other compressors make of a disk what zstd did, within some tenths. */
IngotLayout *early_guess(const IngotFormatInput *input)
{
    IngotLayout *layout = ingot_layout_new();
    ingot_layout_add_zeros(layout, MAX(input_index(input)->blob_size, 1));
    return layout;
}

void early_expect(Early *early, const IngotLayout *guess, const IngotLayout *disk)
{
    const GArray *segments = layout_segments(guess);
    for (guint i = 0; i < segments->len; i++) {
        const LayoutSegment *segment = &g_array_index(segments, LayoutSegment, i);
        if (segment->kind == LAYOUT_INNER && segment->inner == disk) {
            early->base = segment->start;
        }
    }
}

gboolean early_write(const Early *early, guint64 place, const void *bytes, gsize size, GError **error)
{
    return ingot_file_pwrite(early->fd, bytes, size, early->base + place, early->name, error);
}

void early_add(Early *early, guint64 offset, guint64 place, guint32 size)
{
    EarlyBlock block = {.offset = offset, .place = early->base + place, .size = size};
    g_array_append_val(early->blocks, block);
}

/* --- reading --- */

static const EarlyBlock *early_find(const Early *early, guint64 offset)
{
    guint low = 0, high = early->blocks->len;
    while (high - low > 1) {
        guint middle = low + (high - low) / 2;
        if (g_array_index(early->blocks, EarlyBlock, middle).offset <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    const EarlyBlock *block = low < high ? &g_array_index(early->blocks, EarlyBlock, low) : NULL;
    return block != NULL && block->offset == offset ? block : NULL;
}

gboolean early_read(const Early *early, guint64 offset, guint32 size, guint64 within, void *buffer, gsize count,
                    gboolean *found, GError **error)
{
    const EarlyBlock *block = early == NULL ? NULL : early_find(early, offset);
    *found = block != NULL && block->size == size;
    return !*found || ingot_file_pread(early->fd, buffer, count, block->place + within, early->name, error);
}

static gboolean early_fits_from(const Early *early, const IngotLayout *layout, guint64 from)
{
    const GArray *segments = layout_segments(layout);
    for (guint i = 0; i < segments->len; i++) {
        const LayoutSegment *segment = &g_array_index(segments, LayoutSegment, i);
        const EarlyBlock *block = segment->kind == LAYOUT_CODED ? early_find(early, segment->offset) : NULL;
        gboolean fits = segment->kind == LAYOUT_CODED
                            ? block != NULL && block->size == segment->size && block->place == from + segment->start
                            : segment->kind != LAYOUT_DISK;
        if (!fits ||
            (segment->kind == LAYOUT_INNER && !early_fits_from(early, segment->inner, from + segment->start))) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean early_fits(const Early *early, const IngotLayout *layout)
{
    return early_fits_from(early, layout, 0);
}
