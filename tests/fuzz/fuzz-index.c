/* Indexes: the input is taken for a blob, and for the text within one, which a fuzzer would hardly get through zstd. A
 * text has one meaning and a meaning one text. */
#include <ingot/index.h>
#include <string.h>
#include <zstd.h>

#include "fuzz.h"

#define LOOKED_UP 100u /* chunks */

static void assert_same(const IngotIndex *a, const IngotIndex *b)
{
    g_assert(a->average == b->average && a->disk_size == b->disk_size && a->blob_size == b->blob_size);
    g_assert_cmpstr(a->encoder, ==, b->encoder);
    g_assert(a->chunks->len == b->chunks->len);
    for (guint i = 0; i < a->chunks->len; i++) {
        const IngotChunk *one = ingot_index_chunk(a, i), *other = ingot_index_chunk(b, i);
        g_assert(ingot_digest_equal(&one->digest, &other->digest));
        g_assert(one->offset == other->offset && one->stored_offset == other->stored_offset);
        g_assert(one->length == other->length && one->stored_length == other->stored_length);
        g_assert(one->hole == other->hole);
    }
}

/* Without gap or overlap, and every byte of the disk is found in its chunk. */
static void check_chunks(const IngotIndex *index)
{
    guint64 offset = 0, stored_offset = 0;
    g_assert(index->chunks->len > 0);
    for (guint i = 0; i < index->chunks->len; i++) {
        const IngotChunk *chunk = ingot_index_chunk(index, i);
        g_assert(chunk->length > 0 && chunk->stored_length > 0);
        g_assert(chunk->offset == offset && chunk->stored_offset == stored_offset);
        if (i < LOOKED_UP || i + 1 == index->chunks->len) {
            g_assert(ingot_index_find(index, offset) == i);
            g_assert(ingot_index_find(index, offset + chunk->length - 1) == i);
        }
        offset += chunk->length;
        stored_offset += chunk->stored_length;
    }
    g_assert(offset == index->disk_size && stored_offset == index->blob_size);
}

/* text: what the blob was packed from; NULL: unknown. */
static void try_blob(const void *blob, gsize size, const uint8_t *text, gsize text_size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(IngotIndex) index = ingot_index_parse(blob, size, "input", &error);
    g_assert((index == NULL) == (error != NULL));
    if (index == NULL) {
        return;
    }
    check_chunks(index);
    g_autoptr(GBytes) written = ingot_index_serialize(index);
    gsize written_size;
    const void *bytes = g_bytes_get_data(written, &written_size);
    g_autoptr(IngotIndex) again = ingot_index_parse(bytes, written_size, "text", &error);
    g_assert_no_error(error);
    assert_same(index, again);
    if (text != NULL) {
        g_autofree guint8 *unpacked = g_malloc(text_size);
        g_assert(ZSTD_decompress(unpacked, text_size, bytes, written_size) == text_size);
        g_assert(memcmp(unpacked, text, text_size) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_blob(data, size, NULL, 0);
    gsize bound = ZSTD_compressBound(size);
    g_autofree guint8 *packed = g_malloc(bound);
    gsize packed_size = ZSTD_compress(packed, bound, data, size, 1);
    g_assert(!ZSTD_isError(packed_size));
    try_blob(packed, packed_size, data, size);
    return 0;
}
