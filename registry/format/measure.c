#include "format/measure.h"

#include <string.h>

#include "format/parallel.h"

#define PIECE 32u /* blocks that a thread takes at once */

typedef struct {
    const IngotFormatInput *input;
    const Codec *codec;
    guint64 count;
    guint64 *offsets; /* of each block on the disk */
    guint32 *sizes;   /* of each, coded */
} Measure;

static gboolean measure_piece(guint64 number, gpointer slot, gpointer user, GError **error)
{
    (void)slot;
    const Measure *measure = user;
    guint64 from = number * PIECE, to = MIN(from + PIECE, measure->count);
    g_autoptr(Coder) coder = coder_take(measure->codec);
    for (guint64 i = from; i < to; i++) {
        if (coder_block(coder, measure->input->disk, measure->offsets[i], &measure->sizes[i], error) == NULL) {
            return FALSE;
        }
    }
    ingot_progress_add(measure->input->progress, (to - from) * measure->codec->block);
    return TRUE;
}

static guint64 *list_offsets(const GArray *extents, guint64 count, guint32 block)
{
    guint64 *offsets = g_new(guint64, count), at = 0;
    for (guint i = 0; i < extents->len; i++) {
        const Extent *extent = &g_array_index(extents, Extent, i);
        for (guint64 k = 0; k < extent->count; k++) {
            offsets[at++] = (extent->first + k) * block;
        }
    }
    return offsets;
}

static gboolean measure_all(const IngotFormatInput *input, const Codec *codec, const GArray *extents, guint64 count,
                            guint32 *sizes, GError **error)
{
    static const ParallelWork work = {.work = measure_piece};
    g_autofree guint64 *offsets = list_offsets(extents, count, codec->block);
    Measure measure = {.input = input, .codec = codec, .count = count, .offsets = offsets, .sizes = sizes};
    ingot_progress_begin(input->progress, count * codec->block, "measure");
    if (!parallel_run(&work, extents_divide_up(count, PIECE), &measure, error)) {
        ingot_progress_drop(input->progress);
        return FALSE;
    }
    ingot_progress_end(input->progress, NULL);
    return TRUE;
}

/* What was kept is taken only if it can be true. */
static gboolean take_kept(const IngotFormatInput *input, const char *what, const Codec *codec, guint64 count,
                          guint32 *sizes)
{
    g_autoptr(GBytes) kept = input->keeper == NULL ? NULL : input->keeper->find(what, input->keeper->user);
    if (kept == NULL || g_bytes_get_size(kept) != count * sizeof *sizes) {
        return FALSE;
    }
    const guint8 *bytes = g_bytes_get_data(kept, NULL);
    gboolean ok = TRUE;
    for (guint64 i = 0; i < count; i++) {
        memcpy(&sizes[i], bytes + i * sizeof *sizes, sizeof *sizes);
        sizes[i] = GUINT32_FROM_LE(sizes[i]);
        ok = ok && sizes[i] > 0 && sizes[i] <= codec->bound;
    }
    return ok;
}

static void keep(const IngotFormatInput *input, const char *what, guint64 count, const guint32 *sizes)
{
    if (input->keeper != NULL) {
        g_autofree guint32 *little = g_new(guint32, count);
        for (guint64 i = 0; i < count; i++) {
            little[i] = GUINT32_TO_LE(sizes[i]);
        }
        g_autoptr(GBytes) value = g_bytes_new(little, count * sizeof *little);
        input->keeper->keep(what, value, input->keeper->user);
    }
}

guint32 *measure_blocks(const IngotFormatInput *input, const Codec *codec, const GArray *extents, GError **error)
{
    guint64 count = extents_count(extents);
    g_autofree guint32 *sizes = g_new0(guint32, count + 1); /* never NULL: a disk may be empty */
    g_autofree char *what = g_strdup_printf("blocks of %u by %s", codec->block, codec->name());
    if (take_kept(input, what, codec, count, sizes)) {
        return g_steal_pointer(&sizes);
    }
    if (!measure_all(input, codec, extents, count, sizes, error)) {
        return NULL;
    }
    keep(input, what, count, sizes);
    return g_steal_pointer(&sizes);
}
