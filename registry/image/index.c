#include <ingot/error.h>
#include <ingot/index.h>
#include <string.h>
#include <zstd.h>

#include "image/chunker.h"

#define MAGIC "INGOTIDX"
#define HOLE_BIT 0x80000000u
#define HEADER_SIZE 40      /* bytes before the encoder's name */
#define TEXT_MAX (1u << 30) /* bytes of an unpacked index: some 25 million chunks */
#define CHUNK_LENGTH_MAX (8u << 20)
#define ENCODER_NAME_MAX 256

struct Shared {
    IngotIndex index; /* first: callers see this part alone */
    gatomicrefcount references;
};

IngotIndex *ingot_index_new(const char *encoder, guint32 average)
{
    struct Shared *shared = g_new0(struct Shared, 1);
    g_atomic_ref_count_init(&shared->references);
    shared->index.average = average;
    shared->index.encoder = g_strdup(encoder);
    shared->index.chunks = g_array_new(FALSE, FALSE, sizeof(IngotChunk));
    return &shared->index;
}

IngotIndex *ingot_index_ref(IngotIndex *index)
{
    g_atomic_ref_count_inc(&((struct Shared *)index)->references);
    return index;
}

void ingot_index_unref(IngotIndex *index)
{
    struct Shared *shared = (struct Shared *)index;
    if (index != NULL && g_atomic_ref_count_dec(&shared->references)) {
        g_free(index->encoder);
        g_array_unref(index->chunks);
        g_free(shared);
    }
}

void ingot_index_add(IngotIndex *index, const IngotDigest *digest, guint32 length, guint32 stored_length)
{
    IngotChunk chunk = {.offset = index->disk_size,
                        .stored_offset = index->blob_size,
                        .length = length,
                        .stored_length = stored_length,
                        .hole = digest == NULL};
    if (digest != NULL) {
        chunk.digest = *digest;
    }
    g_array_append_val(index->chunks, chunk);
    index->disk_size += length;
    index->blob_size += stored_length;
}

guint ingot_index_find(const IngotIndex *index, guint64 offset)
{
    guint low = 0, high = index->chunks->len;
    while (high - low > 1) {
        guint middle = low + (high - low) / 2;
        if (ingot_index_chunk(index, middle)->offset <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static void put(GByteArray *out, guint64 value, guint bytes)
{
    guint64 little = GUINT64_TO_LE(value);
    g_byte_array_append(out, (const guint8 *)&little, bytes);
}

GBytes *ingot_index_serialize(const IngotIndex *index)
{
    g_autoptr(GByteArray) text = g_byte_array_new();
    guint32 name = (guint32)strlen(index->encoder);
    g_byte_array_append(text, (const guint8 *)MAGIC, strlen(MAGIC));
    put(text, INGOT_INDEX_VERSION, 4);
    put(text, INGOT_BLOCK_SIZE, 4);
    put(text, index->average, 4);
    put(text, name, 4);
    put(text, index->disk_size, 8);
    put(text, index->chunks->len, 8);
    g_byte_array_append(text, (const guint8 *)index->encoder, name);
    for (guint i = 0; i < index->chunks->len; i++) {
        const IngotChunk *chunk = ingot_index_chunk(index, i);
        put(text, chunk->length, 4);
        put(text, chunk->stored_length | (chunk->hole ? HOLE_BIT : 0), 4);
    }
    for (guint i = 0; i < index->chunks->len; i++) {
        const IngotChunk *chunk = ingot_index_chunk(index, i);
        if (!chunk->hole) {
            g_byte_array_append(text, chunk->digest.bytes, sizeof chunk->digest.bytes);
        }
    }
    gsize bound = ZSTD_compressBound(text->len);
    guint8 *packed = g_malloc(bound);
    size_t size = ZSTD_compress(packed, bound, text->data, text->len, 3);
    g_assert(!ZSTD_isError(size));
    return g_bytes_new_take(packed, size);
}

/* --- parsing: a reader that never goes past its end --- */

typedef struct {
    const guint8 *data;
    gsize size, at;
    const char *what;
} Reader;

static gboolean broken(const Reader *reader, const char *why, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: damaged index at offset %" G_GSIZE_FORMAT ": %s",
                reader->what, reader->at, why);
    return FALSE;
}

static const guint8 *take(Reader *reader, gsize size)
{
    if (reader->size - reader->at < size) {
        return NULL;
    }
    const guint8 *at = reader->data + reader->at;
    reader->at += size;
    return at;
}

static guint32 get32(const guint8 *at)
{
    guint32 value;
    memcpy(&value, at, sizeof value);
    return GUINT32_FROM_LE(value);
}

static guint64 get64(const guint8 *at)
{
    guint64 value;
    memcpy(&value, at, sizeof value);
    return GUINT64_FROM_LE(value);
}

typedef struct {
    guint64 disk_size, count;
} Header;

static IngotIndex *parse_header(Reader *reader, Header *header, GError **error)
{
    const guint8 *at = take(reader, HEADER_SIZE);
    if (at == NULL || memcmp(at, MAGIC, strlen(MAGIC)) != 0) {
        reader->at = 0;
        broken(reader, "no index begins so", error);
        return NULL;
    }
    guint32 version = get32(at + 8), name_size = get32(at + 20);
    if (version > INGOT_INDEX_VERSION) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_TOO_NEW, "%s: index version %u is newer than this Ingot knows (%d)",
                    reader->what, version, INGOT_INDEX_VERSION);
        return NULL;
    }
    header->disk_size = get64(at + 24);
    header->count = get64(at + 32);
    const guint8 *name = name_size > ENCODER_NAME_MAX ? NULL : take(reader, name_size);
    if (version == 0 || get32(at + 12) != INGOT_BLOCK_SIZE || !chunker_average_valid(get32(at + 16)) || name == NULL ||
        header->count > (reader->size - reader->at) / 8) {
        broken(reader, "impossible header", error);
        return NULL;
    }
    g_autofree char *encoder = g_strndup((const char *)name, name_size);
    return ingot_index_new(encoder, get32(at + 16));
}

static gboolean parse_chunks(Reader *reader, const Header *header, IngotIndex *index, GError **error)
{
    const guint8 *lengths = take(reader, (gsize)header->count * 8);
    for (guint64 i = 0; i < header->count; i++) {
        guint32 length = get32(lengths + i * 8), stored = get32(lengths + i * 8 + 4);
        gboolean hole = (stored & HOLE_BIT) != 0;
        const guint8 *digest = hole ? NULL : take(reader, INGOT_DIGEST_SIZE);
        stored &= ~HOLE_BIT;
        if (length == 0 || length > CHUNK_LENGTH_MAX || stored == 0 || stored > 2 * CHUNK_LENGTH_MAX ||
            (!hole && digest == NULL)) {
            return broken(reader, "impossible chunk", error);
        }
        ingot_index_add(index, (const IngotDigest *)digest, length, stored);
    }
    if (index->disk_size != header->disk_size || reader->at != reader->size) {
        return broken(reader, "the chunks do not add up to the disk", error);
    }
    return TRUE;
}

IngotIndex *ingot_index_parse(const void *data, gsize size, const char *what, GError **error)
{
    unsigned long long length = ZSTD_getFrameContentSize(data, size);
    Reader reader = {.what = what};
    if (length == ZSTD_CONTENTSIZE_ERROR || length == ZSTD_CONTENTSIZE_UNKNOWN || length > TEXT_MAX) {
        broken(&reader, "not a zstd frame of a possible size", error);
        return NULL;
    }
    g_autofree guint8 *text = g_try_malloc(MAX(length, 1));
    size_t unpacked = text == NULL ? 0 : ZSTD_decompress(text, length, data, size);
    if (text == NULL || ZSTD_isError(unpacked)) {
        broken(&reader, text == NULL ? "too large" : ZSTD_getErrorName(unpacked), error);
        return NULL;
    }
    reader.data = text;
    reader.size = unpacked;
    Header header;
    g_autoptr(IngotIndex) index = parse_header(&reader, &header, error);
    if (index == NULL || !parse_chunks(&reader, &header, index, error)) {
        return NULL;
    }
    return g_steal_pointer(&index);
}
