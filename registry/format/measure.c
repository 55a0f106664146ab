#include "format/measure.h"

#include <string.h>

#include "format/early.h"
#include "format/input.h"
#include "format/parallel.h"

#define PIECE 32u /* blocks that a thread takes at once */

typedef struct {
    const IngotFormatInput *input;
    const Codec *codec;
    const MeasurePlaces *places;
    guint64 count;
    guint64 *offsets; /* of each block on its disk */
    guint32 *sizes;   /* of each, coded */
} Measure;

static guint64 piece_end(const Measure *measure, guint64 number)
{
    return MIN((number + 1) * PIECE, measure->count);
}

/* The blocks of a piece, one after another in the slot where they are to be written. */
static gboolean measure_piece(guint64 number, gpointer slot, gpointer user, GError **error)
{
    const Measure *measure = user;
    guint8 *out = slot;
    g_autoptr(Coder) coder = coder_take(measure->codec);
    for (guint64 i = number * PIECE; i < piece_end(measure, number); i++) {
        guint32 *size = &measure->sizes[i];
        const void *bytes =
            coder_block(coder, measure->input->disk, input_base(measure->input) + measure->offsets[i], size, error);
        if (bytes == NULL) {
            return FALSE;
        }
        if (measure->input->early != NULL) {
            memcpy(out, bytes, *size);
            out += *size;
        }
    }
    if (measure->input->early == NULL) {
        ingot_progress_add(measure->input->progress,
                           (piece_end(measure, number) - number * PIECE) * measure->codec->block);
    }
    return TRUE;
}

/* How much of the disk lies before the block with that number among all, holes too. */
static guint64 disk_before(const Measure *measure, guint64 i)
{
    return i == 0 ? 0 : i < measure->count ? measure->offsets[i] : input_index(measure->input)->disk_size;
}

/* Neighbours are written at once. */
static gboolean write_piece(guint64 number, gpointer slot, gpointer user, GError **error)
{
    const Measure *measure = user;
    const MeasurePlaces *places = measure->places;
    Early *early = measure->input->early;
    const guint8 *bytes = slot;
    guint64 place = 0;
    gsize size = 0; /* of the neighbours that are to be written at place */
    for (guint64 i = number * PIECE; i < piece_end(measure, number); i++) {
        guint64 next = places->next(places->state, measure->offsets[i] / measure->codec->block, measure->sizes[i]);
        if (next != place + size) {
            if (!early_write(early, place, bytes, size, error)) {
                return FALSE;
            }
            bytes += size;
            size = 0;
            place = next;
        }
        early_add(early, input_base(measure->input) + measure->offsets[i], next, measure->sizes[i]);
        size += measure->sizes[i];
    }
    ingot_progress_add(measure->input->progress,
                       disk_before(measure, piece_end(measure, number)) - disk_before(measure, number * PIECE));
    return early_write(early, place, bytes, size, error);
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

/* Blocks that are written are a part of the writing: that has a stage already. */
static gboolean measure_all(const Measure *measure, GError **error)
{
    IngotProgress *progress = measure->input->progress;
    guint64 pieces = extents_divide_up(measure->count, PIECE);
    if (measure->input->early != NULL) {
        const ParallelWork write = {
            .work = measure_piece, .done = write_piece, .slot_size = (gsize)PIECE * measure->codec->bound};
        return parallel_run(&write, pieces, (gpointer)measure, error);
    }
    const ParallelWork work = {.work = measure_piece};
    ingot_progress_begin(progress, measure->count * measure->codec->block, "measure");
    if (!parallel_run(&work, pieces, (gpointer)measure, error)) {
        ingot_progress_drop(progress);
        return FALSE;
    }
    ingot_progress_end(progress, NULL);
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

/* Of the first disk, as it was called when images had one. */
static char *kept_name(const IngotFormatInput *input, const Codec *codec)
{
    return input->number == 0 ? g_strdup_printf("blocks of %u by %s", codec->block, codec->name())
                              : g_strdup_printf("blocks of %u by %s/%u", codec->block, codec->name(), input->number);
}

guint32 *measure_blocks(const IngotFormatInput *input, const Codec *codec, const GArray *extents,
                        const MeasurePlaces *places, GError **error)
{
    guint64 count = extents_count(extents);
    g_autofree guint32 *sizes = g_new0(guint32, count + 1); /* never NULL: a disk may be empty */
    g_autofree char *what = kept_name(input, codec);
    if (take_kept(input, what, codec, count, sizes)) {
        return g_steal_pointer(&sizes);
    }
    g_autofree guint64 *offsets = list_offsets(extents, count, codec->block);
    const Measure measure = {
        .input = input, .codec = codec, .places = places, .count = count, .offsets = offsets, .sizes = sizes};
    if (!measure_all(&measure, error)) {
        return NULL;
    }
    keep(input, what, count, sizes);
    return g_steal_pointer(&sizes);
}
