#include <ingot/error.h>
#include <ingot/index.h>
#include <string.h>
#include <zstd.h>

#include "image/chunker.h"
#include "image/encoder.h"
#include "image/oldindex.h"

#define MAGIC "INGOTIDX"
#define HOLE_BIT 0x80000000u
#define HEADER_SIZE 40 /* bytes before the encoder's name */
#define VERSION_END 12 /* bytes up to the version, included */
#define LENGTHS_SIZE 8 /* bytes of a chunk's two lengths */
#define ENCODER_NAME_MAX 255
#define BUFFER_SIZE 65536u /* bytes of the text in memory at once */
#define WINDOW_LOG_MAX 23  /* of zstd's window: 8 MiB, four times what the serializer's level takes */
/* A digest does not compress, so a chunk takes 32 bytes of the blob, and with a hole beside it 16. Fewer are those of
 * equal chunks and of holes in a row: so many of them are 16 TiB of zeros. */
#define CHUNKS_FREE (1u << 21)
#define PACKED_LEAST 8u /* bytes of the blob for each chunk beyond them */
#define FRAME_LEAST 9u  /* bytes of a zstd frame: magic, two of a header, a block's header */

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

/* --- parsing: a reader that never goes past its end, and never has more of the text than its buffer --- */

typedef struct {
    ZSTD_DStream *stream;
    ZSTD_inBuffer packed;
    guint8 buffer[BUFFER_SIZE];
    gsize from, end;     /* of what is in the buffer and was not taken */
    guint64 at;          /* of the text */
    gboolean whole;      /* the frame's end was reached */
    const char *problem; /* of zstd; NULL: none */
    const char *what;    /* it is, for errors */
} Reader;

static Reader *reader_new(const void *data, gsize size, const char *what)
{
    Reader *reader = g_new0(Reader, 1);
    reader->stream = ZSTD_createDStream();
    ZSTD_DCtx_setParameter(reader->stream, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    reader->packed = (ZSTD_inBuffer){data, size, 0};
    reader->what = what;
    return reader;
}

static void reader_free(Reader *reader)
{
    ZSTD_freeDStream(reader->stream);
    g_free(reader);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Reader, reader_free)

static gboolean broken(const Reader *reader, const char *why, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: damaged index at offset %" G_GUINT64_FORMAT ": %s",
                reader->what, reader->at, reader->problem == NULL ? why : reader->problem);
    return FALSE;
}

/* The buffer is full afterwards, or holds all that is left; what does not unpack is the end. */
static void reader_fill(Reader *reader)
{
    memmove(reader->buffer, reader->buffer + reader->from, reader->end - reader->from);
    reader->end -= reader->from;
    reader->from = 0;
    ZSTD_outBuffer text = {reader->buffer, sizeof reader->buffer, reader->end};
    while (text.pos < text.size && !reader->whole && reader->problem == NULL) {
        gsize before = text.pos + reader->packed.pos;
        size_t left = ZSTD_decompressStream(reader->stream, &text, &reader->packed);
        reader->whole = left == 0;
        if (ZSTD_isError(left)) {
            reader->problem = ZSTD_getErrorName(left);
        } else if (left != 0 && text.pos + reader->packed.pos == before) {
            reader->problem = "it is cut short";
        }
    }
    reader->end = text.pos;
}

/* The next bytes of the text (at most BUFFER_SIZE), until more are taken; NULL: there are not so many. */
static const guint8 *take(Reader *reader, gsize size)
{
    if (reader->end - reader->from < size) {
        reader_fill(reader);
    }
    if (reader->end - reader->from < size) {
        return NULL;
    }
    const guint8 *at = reader->buffer + reader->from;
    reader->from += size;
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

static gboolean parse_lengths(Reader *reader, const Header *header, IngotIndex *index, GError **error)
{
    g_array_set_size(index->chunks, (guint)header->count);
    g_array_set_size(index->chunks, 0);
    for (guint64 i = 0; i < header->count; i++) {
        const IngotDigest unknown = {0};
        const guint8 *lengths = take(reader, LENGTHS_SIZE);
        if (lengths == NULL) {
            return broken(reader, "lengths are missing", error);
        }
        guint32 length = get32(lengths), stored = get32(lengths + 4);
        gboolean hole = (stored & HOLE_BIT) != 0;
        stored &= ~HOLE_BIT;
        if (!is_chunk(length, stored, hole, i + 1 == header->count, index->average)) {
            reader->at -= LENGTHS_SIZE;
            return broken(reader, "impossible chunk", error);
        }
        ingot_index_add(index, hole ? NULL : &unknown, length, stored);
    }
    return TRUE;
}

static gboolean parse_digests(Reader *reader, const IngotIndex *index, GError **error)
{
    for (guint i = 0; i < index->chunks->len; i++) {
        IngotChunk *chunk = &g_array_index(index->chunks, IngotChunk, i);
        if (chunk->hole) {
            continue;
        }
        const guint8 *digest = take(reader, INGOT_DIGEST_SIZE);
        if (digest == NULL) {
            return broken(reader, "digests are missing", error);
        }
        memcpy(chunk->digest.bytes, digest, INGOT_DIGEST_SIZE);
    }
    return (take(reader, 1) == NULL && reader->whole) || broken(reader, "more follows than its chunks", error);
}

/* How many chunks it has, by its header; LIMIT: more than `most`. */
static gboolean read_count(Reader *reader, guint64 blob_size, guint most, guint64 *count, GError **error)
{
    if (!parse_version(reader, error)) {
        return FALSE;
    }
    const guint8 *rest = take(reader, HEADER_SIZE - VERSION_END);
    if (rest == NULL) {
        return broken(reader, "it is cut short", error);
    }
    *count = get64(rest + 20);
    if (*count == 0 || *count > get64(rest + 12) / INGOT_BLOCK_SIZE + 1 || *count > blob_size / FRAME_LEAST) {
        return broken(reader, "impossible number of chunks", error);
    }
    if (*count > most) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT,
                    "%s: its index has %" G_GUINT64_FORMAT " chunks; at most %u are taken", reader->what, *count, most);
        return FALSE;
    }
    return TRUE;
}

/* A few bytes of zstd may hold an index of millions of chunks: whether there can be so many is asked first. */
static gboolean check_count(const void *data, gsize size, guint64 blob_size, guint most, const char *what,
                            guint64 *count, GError **error)
{
    g_autoptr(Reader) reader = reader_new(data, size, what);
    if (!read_count(reader, blob_size, most, count, error)) {
        return FALSE;
    }
    if (*count > CHUNKS_FREE && (*count - CHUNKS_FREE) > size / PACKED_LEAST) {
        return broken(reader, "more chunks than so few bytes tell of", error);
    }
    unsigned long long length = ZSTD_getFrameContentSize(data, size);
    if (length == ZSTD_CONTENTSIZE_ERROR || length == ZSTD_CONTENTSIZE_UNKNOWN) {
        return broken(reader, "no zstd frame of a known size", error);
    }
    if (ZSTD_findFrameCompressedSize(data, size) != size) {
        return broken(reader, "its zstd frame is cut short or something follows it", error);
    }
    if (length < HEADER_SIZE + *count * LENGTHS_SIZE) {
        return broken(reader, "impossible number of chunks", error);
    }
    return length <= HEADER_SIZE + ENCODER_NAME_MAX + *count * (LENGTHS_SIZE + INGOT_DIGEST_SIZE) ||
           broken(reader, "more than its chunks take", error);
}

gboolean ingot_index_check(const void *data, gsize size, guint64 blob_size, const char *what, gsize *memory,
                           GError **error)
{
    guint64 count = 0;
    gboolean ok = check_count(data, size, blob_size, INGOT_INDEX_CHUNKS_MAX, what, &count, error);
    *memory = (gsize)count * sizeof(IngotChunk) +
              MIN((gsize)count * (LENGTHS_SIZE + INGOT_DIGEST_SIZE), (gsize)1 << WINDOW_LOG_MAX);
    return ok;
}

gboolean oldindex_refuse(const void *head, gsize size, const char *what, GError **error)
{
    g_autoptr(Reader) reader = reader_new(head, size, what);
    guint64 count;
    return read_count(reader, G_MAXUINT64, INGOT_INDEX_CHUNKS_MAX, &count, error) &&
           broken(reader, "more than its chunks take", error);
}

static IngotIndex *parse(const void *data, gsize size, guint64 blob_size, guint most, const char *what, GError **error)
{
    Header header;
    guint64 count;
    if (!check_count(data, size, blob_size, most, what, &count, error)) {
        return NULL;
    }
    g_autoptr(Reader) reader = reader_new(data, size, what);
    g_autoptr(IngotIndex) index = parse_version(reader, error) ? parse_header(reader, &header, error) : NULL;
    if (index == NULL || !parse_lengths(reader, &header, index, error) || !parse_digests(reader, index, error)) {
        return NULL;
    }
    if (index->disk_size != header.disk_size) {
        broken(reader, "the chunks do not add up to the disk", error);
        return NULL;
    }
    return g_steal_pointer(&index);
}

IngotIndex *ingot_index_parse(const void *data, gsize size, const char *what, GError **error)
{
    return parse(data, size, G_MAXUINT64, INGOT_INDEX_CHUNKS_MAX, what, error);
}

IngotIndex *ingot_index_parse_for(const void *data, gsize size, guint64 blob_size, const char *what, GError **error)
{
    return parse(data, size, blob_size, INGOT_INDEX_CHUNKS_MAX, what, error);
}

IngotIndex *oldindex_parse(const void *data, gsize size, guint64 blob_size, const char *what, GError **error)
{
    return parse(data, size, blob_size, OLDINDEX_CHUNKS_MAX, what, error);
}
