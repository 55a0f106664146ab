#include "image/frames.h"

#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/file.h"
#include "image/encoder.h"

#define MAGIC "INGOTFRM"
#define VERSION 1u
#define HEAD 16u /* bytes: magic, version, size of the index */

typedef struct {
    IngotDigest chunk; /* first: the table's key */
    guint32 length, size;
    guint64 offset; /* of the frame in its blob */
    int fd;         /* the blob's */
    FrameSum sum;
} MadeFrame;

struct IngotFrames {
    GHashTable *made; /* IngotDigest -> MadeFrame, the same pointer */
    GArray *fds;
};

FrameSum frame_sum(const void *frame, gsize size)
{
    FrameSum sum;
    XXH128_canonicalFromHash((XXH128_canonical_t *)&sum, XXH3_128bits(frame, size));
    return sum;
}

static gboolean sum_matches(const void *data, gsize size, const void *sum)
{
    FrameSum found = frame_sum(data, size);
    return memcmp(&found, sum, sizeof found) == 0;
}

IngotFrames *frames_new(void)
{
    IngotFrames *frames = g_new0(IngotFrames, 1);
    frames->made = g_hash_table_new_full(ingot_digest_hash, ingot_digest_equal, NULL, g_free);
    frames->fds = g_array_new(FALSE, FALSE, sizeof(int));
    return frames;
}

void frames_free(IngotFrames *frames)
{
    if (frames == NULL) {
        return;
    }
    for (guint i = 0; i < frames->fds->len; i++) {
        close(g_array_index(frames->fds, int, i));
    }
    g_array_unref(frames->fds);
    g_hash_table_unref(frames->made);
    g_free(frames);
}

/* --- tables --- */

GBytes *frames_table(const IngotIndex *index, const GArray *sums)
{
    g_autoptr(GBytes) text = ingot_index_serialize(index);
    gsize size;
    const void *data = g_bytes_get_data(text, &size);
    guint32 numbers[] = {GUINT32_TO_LE(VERSION), GUINT32_TO_LE((guint32)size)};
    GByteArray *table = g_byte_array_new();
    g_byte_array_append(table, (const guint8 *)MAGIC, strlen(MAGIC));
    g_byte_array_append(table, (const guint8 *)numbers, sizeof numbers);
    g_byte_array_append(table, data, (guint)size);
    g_byte_array_append(table, (const guint8 *)sums->data, sums->len * (guint)sizeof(FrameSum));
    FrameSum sum = frame_sum(table->data, table->len);
    g_byte_array_append(table, sum.bytes, sizeof sum.bytes);
    return g_byte_array_free_to_bytes(table);
}

/* The table's index; *sums: how many sums follow it, from *first. NULL: it is damaged. */
static IngotIndex *table_parse(const guint8 *table, gsize size, const FrameSum **first, gsize *sums)
{
    guint32 numbers[2];
    if (size < HEAD + sizeof(FrameSum) || memcmp(table, MAGIC, strlen(MAGIC)) != 0 ||
        !sum_matches(table, size - sizeof(FrameSum), table + size - sizeof(FrameSum))) {
        return NULL;
    }
    memcpy(numbers, table + strlen(MAGIC), sizeof numbers);
    gsize rest = size - HEAD - sizeof(FrameSum), length = GUINT32_FROM_LE(numbers[1]);
    if (GUINT32_FROM_LE(numbers[0]) != VERSION || length > rest) {
        return NULL;
    }
    g_autoptr(IngotIndex) index = ingot_index_parse(table + HEAD, length, "table of frames", NULL);
    if (index == NULL) {
        return NULL;
    }
    *first = (const FrameSum *)(table + HEAD + length);
    *sums = (rest - length) / sizeof(FrameSum);
    return g_steal_pointer(&index);
}

static void frames_add_one(IngotFrames *frames, const IngotChunk *chunk, const FrameSum *sum, int fd)
{
    if (g_hash_table_size(frames->made) == FRAMES_MOST || g_hash_table_contains(frames->made, &chunk->digest)) {
        return;
    }
    MadeFrame *made = g_new(MadeFrame, 1);
    *made = (MadeFrame){.chunk = chunk->digest,
                        .length = chunk->length,
                        .size = chunk->stored_length,
                        .offset = chunk->stored_offset,
                        .fd = fd,
                        .sum = *sum};
    g_hash_table_insert(frames->made, &made->chunk, made);
}

gboolean frames_add(IngotFrames *frames, const void *table, gsize size, int fd)
{
    g_auto(IngotFd) blob = fd;
    const FrameSum *sum = NULL;
    gsize sums = 0;
    g_autoptr(IngotIndex) index =
        g_hash_table_size(frames->made) == FRAMES_MOST ? NULL : table_parse(table, size, &sum, &sums);
    if (index == NULL || strcmp(index->encoder, ingot_encoder_name()) != 0) {
        return FALSE;
    }
    for (guint i = 0; i < index->chunks->len && sums > 0; i++) {
        const IngotChunk *chunk = ingot_index_chunk(index, i);
        if (!chunk->hole) {
            frames_add_one(frames, chunk, sum++, blob);
            sums--;
        }
    }
    g_array_append_val(frames->fds, blob);
    blob = -1;
    return TRUE;
}

static gboolean is_chunk(const IngotChunk *one, const IngotChunk *other)
{
    return one->hole == other->hole && one->length == other->length && one->stored_length == other->stored_length &&
           ingot_digest_equal(&one->digest, &other->digest);
}

GArray *frames_sums(const void *table, gsize size, const IngotIndex *index)
{
    const FrameSum *sum = NULL;
    gsize left = 0;
    g_autoptr(IngotIndex) known = table_parse(table, size, &sum, &left);
    if (known == NULL || known->chunks->len != index->chunks->len) {
        return NULL;
    }
    g_autoptr(GArray) sums = g_array_new(FALSE, TRUE, sizeof(FrameSum));
    g_array_set_size(sums, index->chunks->len);
    for (guint i = 0; i < index->chunks->len; i++) {
        const IngotChunk *chunk = ingot_index_chunk(index, i);
        if (!is_chunk(chunk, ingot_index_chunk(known, i)) || (!chunk->hole && left == 0)) {
            return NULL;
        }
        if (!chunk->hole) {
            g_array_index(sums, FrameSum, i) = *sum++;
            left--;
        }
    }
    return g_steal_pointer(&sums);
}

/* --- frames --- */

gboolean frames_take(const IngotFrames *frames, const IngotDigest *chunk, guint32 length, void *frame, guint32 *size,
                     FrameSum *sum)
{
    const MadeFrame *made = g_hash_table_lookup(frames->made, chunk);
    if (made == NULL || made->length != length || made->size > ingot_encoder_bound(length) ||
        !ingot_file_pread(made->fd, frame, made->size, made->offset, "a blob", NULL) ||
        !sum_matches(frame, made->size, &made->sum)) {
        return FALSE;
    }
    *size = made->size;
    *sum = made->sum;
    return TRUE;
}
