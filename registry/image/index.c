#include <ingot/encoder.h>
#include <ingot/error.h>
#include <ingot/index.h>
#include <string.h>
#include <zstd.h>

#include "image/chunker.h"

#define MAGIC "INGOTIDX"
#define HOLE_BIT 0x80000000u
#define HEADER_SIZE 40        /* bytes before the encoder's name */
#define VERSION_END 12        /* bytes up to the version, included */
#define LENGTHS_SIZE 8        /* bytes of a chunk's two lengths */
#define TEXT_MAX (256u << 20) /* bytes of an unpacked index; holds INGOT_INDEX_CHUNKS_MAX */
#define ENCODER_NAME_MAX 255
#define FRAME_LEAST 9u /* bytes of a zstd frame: magic, two of a header, a block's header */

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
        g_clear_pointer(&index->frames, g_array_unref);
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

/* The magic and the version stand first in every version to come. */
static gboolean parse_version(Reader *reader, GError **error)
{
    const guint8 *at = take(reader, VERSION_END);
    if (at == NULL || memcmp(at, MAGIC, strlen(MAGIC)) != 0) {
        reader->at = 0;
        return broken(reader, "no index begins so", error);
    }
    guint32 version = get32(at + strlen(MAGIC));
    if (version > INGOT_INDEX_VERSION) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_TOO_NEW, "%s: index version %u is newer than this Ingot knows (%d)",
                    reader->what, version, INGOT_INDEX_VERSION);
        return FALSE;
    }
    return version > 0 || broken(reader, "there is no version 0", error);
}

/* Printable ASCII: the name is shown to people. */
static gboolean is_encoder_name(const guint8 *name, gsize size)
{
    for (gsize i = 0; i < size; i++) {
        if (!g_ascii_isprint((char)name[i])) {
            return FALSE;
        }
    }
    return size > 0;
}

static IngotIndex *parse_header(Reader *reader, Header *header, GError **error)
{
    const guint8 *at = take(reader, HEADER_SIZE - VERSION_END);
    if (at == NULL || get32(at) != INGOT_BLOCK_SIZE || !chunker_average_valid(get32(at + 4))) {
        broken(reader, "impossible header", error);
        return NULL;
    }
    guint32 average = get32(at + 4), name_size = get32(at + 8);
    header->disk_size = get64(at + 12);
    header->count = get64(at + 20);
    const guint8 *name = name_size > ENCODER_NAME_MAX ? NULL : take(reader, name_size);
    if (name == NULL || !is_encoder_name(name, name_size)) {
        broken(reader, "impossible name of an encoder", error);
        return NULL;
    }
    if (header->count > (reader->size - reader->at) / LENGTHS_SIZE) {
        broken(reader, "impossible number of chunks", error);
        return NULL;
    }
    g_autofree char *encoder = g_strndup((const char *)name, name_size);
    return ingot_index_new(encoder, average);
}

/* All chunks are whole blocks but the last, and no longer than a packer makes them. */
static gboolean is_chunk(guint32 length, guint32 stored, gboolean hole, gboolean last, guint32 average)
{
    gsize most = hole ? INGOT_HOLE_MAX : chunker_max(average);
    return length > 0 && length <= most && (last || length % INGOT_BLOCK_SIZE == 0) && stored > 0 &&
           stored <= ingot_encoder_bound(length);
}

static gboolean parse_chunks(Reader *reader, const Header *header, IngotIndex *index, GError **error)
{
    gsize lengths_at = reader->at;
    const guint8 *lengths = take(reader, header->count * LENGTHS_SIZE);
    g_array_set_size(index->chunks, (guint)header->count);
    g_array_set_size(index->chunks, 0);
    for (guint64 i = 0; i < header->count; i++) {
        guint32 length = get32(lengths + i * LENGTHS_SIZE), stored = get32(lengths + i * LENGTHS_SIZE + 4);
        gboolean hole = (stored & HOLE_BIT) != 0;
        const guint8 *digest = hole ? NULL : take(reader, INGOT_DIGEST_SIZE);
        stored &= ~HOLE_BIT;
        if (!is_chunk(length, stored, hole, i + 1 == header->count, index->average)) {
            reader->at = lengths_at + i * LENGTHS_SIZE;
            return broken(reader, "impossible chunk", error);
        }
        if (!hole && digest == NULL) {
            return broken(reader, "digests are missing", error);
        }
        ingot_index_add(index, (const IngotDigest *)digest, length, stored);
    }
    if (reader->at != reader->size) {
        return broken(reader, "more follows than its chunks", error);
    }
    return index->disk_size == header->disk_size || broken(reader, "the chunks do not add up to the disk", error);
}

/* The text within the one frame that the blob is. */
static gboolean unpack(const void *data, gsize size, Reader *reader, guint8 **text, GError **error)
{
    unsigned long long length = ZSTD_getFrameContentSize(data, size);
    if (length == ZSTD_CONTENTSIZE_ERROR || length == ZSTD_CONTENTSIZE_UNKNOWN || length > TEXT_MAX) {
        return broken(reader, "no zstd frame of a possible size", error);
    }
    if (ZSTD_findFrameCompressedSize(data, size) != size) {
        return broken(reader, "its zstd frame is cut short or something follows it", error);
    }
    *text = g_try_malloc(MAX(length, 1));
    size_t unpacked = *text == NULL ? 0 : ZSTD_decompress(*text, length, data, size);
    if (*text == NULL || ZSTD_isError(unpacked)) {
        return broken(reader, *text == NULL ? "too large" : ZSTD_getErrorName(unpacked), error);
    }
    reader->data = *text;
    reader->size = unpacked;
    return TRUE;
}

/* The first bytes of the text, or all of it where it is shorter. FALSE: it does not unpack so far, or would need more
 * memory for that than any packer's does. */
static gboolean peek(const void *data, gsize size, guint8 *start, gsize most, gsize *got)
{
    ZSTD_DStream *stream = ZSTD_createDStream();
    ZSTD_inBuffer in = {data, size, 0};
    ZSTD_outBuffer out = {start, most, 0};
    size_t left = 1;
    while (left != 0 && !ZSTD_isError(left) && out.pos < most && in.pos < size) {
        left = ZSTD_decompressStream(stream, &out, &in);
    }
    ZSTD_freeDStream(stream);
    *got = out.pos;
    return !ZSTD_isError(left);
}

/* A few bytes of zstd may hold an index of millions of chunks: whether there can be so many is asked first. */
static gboolean check_count(const void *data, gsize size, guint64 blob_size, const char *what, guint64 *count,
                            GError **error)
{
    guint8 start[HEADER_SIZE];
    Reader reader = {.data = start, .what = what};
    if (!peek(data, size, start, sizeof start, &reader.size)) {
        return broken(&reader, "it does not unpack", error);
    }
    if (!parse_version(&reader, error)) {
        return FALSE;
    }
    const guint8 *rest = take(&reader, HEADER_SIZE - VERSION_END);
    if (rest == NULL) {
        return broken(&reader, "it is cut short", error);
    }
    *count = get64(rest + 20);
    if (*count == 0 || *count > INGOT_INDEX_CHUNKS_MAX || *count > get64(rest + 12) / INGOT_BLOCK_SIZE + 1 ||
        *count > blob_size / FRAME_LEAST) {
        return broken(&reader, "impossible number of chunks", error);
    }
    unsigned long long length = ZSTD_getFrameContentSize(data, size);
    if (length == ZSTD_CONTENTSIZE_UNKNOWN) {
        return TRUE; /* the parser refuses it */
    }
    if (length < HEADER_SIZE + *count * LENGTHS_SIZE) {
        return broken(&reader, "impossible number of chunks", error);
    }
    return length <= HEADER_SIZE + ENCODER_NAME_MAX + *count * (LENGTHS_SIZE + INGOT_DIGEST_SIZE) ||
           broken(&reader, "more than its chunks take", error);
}

gboolean ingot_index_check(const void *data, gsize size, guint64 blob_size, const char *what, gsize *memory,
                           GError **error)
{
    guint64 count = 0;
    gboolean ok = check_count(data, size, blob_size, what, &count, error);
    *memory = (gsize)count * (sizeof(IngotChunk) + LENGTHS_SIZE + INGOT_DIGEST_SIZE);
    return ok;
}

IngotIndex *ingot_index_parse(const void *data, gsize size, const char *what, GError **error)
{
    return ingot_index_parse_for(data, size, G_MAXUINT64, what, error);
}

IngotIndex *ingot_index_parse_for(const void *data, gsize size, guint64 blob_size, const char *what, GError **error)
{
    Reader reader = {.what = what};
    Header header;
    guint64 count;
    g_autofree guint8 *text = NULL;
    if (!check_count(data, size, blob_size, what, &count, error) || !unpack(data, size, &reader, &text, error) ||
        !parse_version(&reader, error)) {
        return NULL;
    }
    g_autoptr(IngotIndex) index = parse_header(&reader, &header, error);
    if (index == NULL || !parse_chunks(&reader, &header, index, error)) {
        return NULL;
    }
    return g_steal_pointer(&index);
}
