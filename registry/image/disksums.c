/* Which frames of a disk were found right before, by their sums. */
#include <string.h>

#include "image/disk.h"
#include "image/frames.h"

static DiskSums *sums_new(const IngotIndex *index, GBytes *table)
{
    DiskSums *sums = g_new0(DiskSums, 1);
    guint count = index->chunks->len;
    gsize size = 0;
    const void *bytes = table == NULL ? NULL : g_bytes_get_data(table, &size);
    g_mutex_init(&sums->lock);
    sums->known = g_new0(guint8, count);
    sums->sums = bytes == NULL ? NULL : frames_sums(bytes, size, index);
    if (sums->sums != NULL) {
        memset(sums->known, TRUE, count);
        return sums;
    }
    sums->sums = g_array_new(FALSE, TRUE, sizeof(FrameSum));
    g_array_set_size(sums->sums, count);
    for (guint i = 0; i < count; i++) {
        sums->unknown += !ingot_index_chunk(index, i)->hole;
    }
    return sums;
}

void disk_sums_free(DiskSums *sums)
{
    if (sums != NULL) {
        g_mutex_clear(&sums->lock);
        g_array_unref(sums->sums);
        g_free(sums->known);
        g_free(sums);
    }
}

void ingot_disk_remember(IngotDisk *disk, GBytes *table)
{
    disk_sums_free(disk->sums);
    disk->sums = sums_new(disk->index, table);
}

GBytes *ingot_disk_table(IngotDisk *disk)
{
    DiskSums *sums = disk->sums;
    if (sums == NULL || !sums->fresh || sums->unknown > 0) {
        return NULL;
    }
    g_autoptr(GArray) data = g_array_new(FALSE, FALSE, sizeof(FrameSum));
    for (guint i = 0; i < disk->index->chunks->len; i++) {
        if (!ingot_index_chunk(disk->index, i)->hole) {
            g_array_append_val(data, g_array_index(sums->sums, FrameSum, i));
        }
    }
    return frames_table(disk->index, data);
}

static gboolean sums_have(DiskSums *sums, guint number, const FrameSum *sum)
{
    g_mutex_lock(&sums->lock);
    gboolean have = sums->known[number] && memcmp(&g_array_index(sums->sums, FrameSum, number), sum, sizeof *sum) == 0;
    g_mutex_unlock(&sums->lock);
    return have;
}

static void sums_learn(DiskSums *sums, guint number, const FrameSum *sum)
{
    g_mutex_lock(&sums->lock);
    if (!sums->known[number]) {
        g_array_index(sums->sums, FrameSum, number) = *sum;
        sums->known[number] = TRUE;
        sums->fresh = TRUE;
        sums->unknown--;
    }
    g_mutex_unlock(&sums->lock);
}

/* A frame with another sum than it had gets its error from the digest. */
gboolean disk_decode(const IngotDisk *disk, IngotDecoder *decoder, const IngotChunk *chunk, const void *frame,
                     void *data, GError **error)
{
    DiskSums *sums = chunk->hole ? NULL : disk->sums;
    if (sums == NULL) {
        return ingot_decoder_chunk(decoder, chunk, frame, data, disk->name, error);
    }
    FrameSum sum = frame_sum(frame, chunk->stored_length);
    guint number = (guint)(chunk - ingot_index_chunk(disk->index, 0));
    if (sums_have(sums, number, &sum)) {
        return ingot_decoder_known(decoder, chunk, frame, data, disk->name, error);
    }
    if (!ingot_decoder_chunk(decoder, chunk, frame, data, disk->name, error)) {
        return FALSE;
    }
    sums_learn(sums, number, &sum);
    return TRUE;
}
