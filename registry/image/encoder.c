#include <ingot/error.h>
#include <string.h>
#include <zstd.h>

#include "image/chunker.h"
#include "image/encoder.h"

#define LEVEL 3
/* What a decoder keeps of holes: as many as there are lengths of whole blocks, and of each no longer a frame than any
 * compressor makes of zeros. */
#define HOLES_KEPT_MAX (INGOT_HOLE_MAX / INGOT_BLOCK_SIZE)
#define HOLE_FRAME_KEPT_MAX 1024u
/* zstd's seekable format: a skippable frame whose content is the table and this footer. */
#define SKIPPABLE_MAGIC 0x184D2A5Eu
#define SEEKABLE_MAGIC 0x8F92EAB1u

struct IngotEncoder {
    ZSTD_CCtx *context;
    GHashTable *holes; /* length -> GBytes: the frame of so many zeros */
};

struct IngotDecoder {
    ZSTD_DCtx *context;
    GHashTable *holes; /* length -> GBytes, a frame known to give so many zeros */
};

const char *ingot_encoder_name(void)
{
    static char name[32];
    static gsize once;
    if (g_once_init_enter(&once)) {
        g_snprintf(name, sizeof name, "zstd %s level %d", ZSTD_versionString(), LEVEL);
        g_once_init_leave(&once, 1);
    }
    return name;
}

IngotEncoder *ingot_encoder_new(void)
{
    IngotEncoder *encoder = g_new0(IngotEncoder, 1);
    encoder->context = ZSTD_createCCtx();
    encoder->holes = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)g_bytes_unref);
    ZSTD_CCtx_setParameter(encoder->context, ZSTD_c_compressionLevel, LEVEL);
    ZSTD_CCtx_setParameter(encoder->context, ZSTD_c_contentSizeFlag, 1);
    ZSTD_CCtx_setParameter(encoder->context, ZSTD_c_checksumFlag, 0);
    return encoder;
}

void ingot_encoder_free(IngotEncoder *encoder)
{
    if (encoder != NULL) {
        ZSTD_freeCCtx(encoder->context);
        g_hash_table_unref(encoder->holes);
        g_free(encoder);
    }
}

gsize ingot_encoder_bound(gsize size)
{
    return ZSTD_compressBound(size);
}

gsize ingot_encoder_frame(IngotEncoder *encoder, const void *data, gsize size, void *frame)
{
    size_t length = ZSTD_compress2(encoder->context, frame, ZSTD_compressBound(size), data, size);
    g_assert(!ZSTD_isError(length)); /* the bound leaves only a lack of memory */
    return length;
}

GBytes *ingot_encoder_hole(IngotEncoder *encoder, guint32 length)
{
    GBytes *frame = g_hash_table_lookup(encoder->holes, GUINT_TO_POINTER(length));
    if (frame == NULL) {
        g_autofree guint8 *zeros = g_malloc0(length);
        g_autofree guint8 *out = g_malloc(ingot_encoder_bound(length));
        frame = g_bytes_new(out, ingot_encoder_frame(encoder, zeros, length, out));
        g_hash_table_insert(encoder->holes, GUINT_TO_POINTER(length), frame);
    }
    return frame;
}

IngotDecoder *ingot_decoder_new(void)
{
    IngotDecoder *decoder = g_new0(IngotDecoder, 1);
    decoder->context = ZSTD_createDCtx();
    decoder->holes = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)g_bytes_unref);
    return decoder;
}

void ingot_decoder_free(IngotDecoder *decoder)
{
    if (decoder != NULL) {
        ZSTD_freeDCtx(decoder->context);
        g_hash_table_unref(decoder->holes);
        g_free(decoder);
    }
}

static gboolean decode(IngotDecoder *decoder, const IngotChunk *chunk, const void *frame, void *data, const char *what,
                       GError **error)
{
    size_t length = ZSTD_decompressDCtx(decoder->context, data, chunk->length, frame, chunk->stored_length);
    if (!ZSTD_isError(length) && length == chunk->length) {
        return TRUE;
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: damaged frame at offset %" G_GUINT64_FORMAT ": %s", what,
                chunk->stored_offset, ZSTD_isError(length) ? ZSTD_getErrorName(length) : "too short");
    return FALSE;
}

static gboolean refuse(const IngotChunk *chunk, const char *what, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                "%s: the frame at offset %" G_GUINT64_FORMAT " holds other bytes than its index says", what,
                chunk->stored_offset);
    return FALSE;
}

static void keep_hole(IngotDecoder *decoder, const IngotChunk *chunk, const void *frame)
{
    if (chunk->stored_length > HOLE_FRAME_KEPT_MAX) {
        return;
    }
    if (g_hash_table_size(decoder->holes) >= HOLES_KEPT_MAX) {
        g_hash_table_remove_all(decoder->holes);
    }
    g_hash_table_insert(decoder->holes, GUINT_TO_POINTER(chunk->length), g_bytes_new(frame, chunk->stored_length));
}

/* Equal holes have equal frames, so each is decoded once. */
static gboolean check_hole(IngotDecoder *decoder, const IngotChunk *chunk, const void *frame, const char *what,
                           GError **error)
{
    GBytes *known = g_hash_table_lookup(decoder->holes, GUINT_TO_POINTER(chunk->length));
    if (known != NULL && g_bytes_get_size(known) == chunk->stored_length &&
        memcmp(g_bytes_get_data(known, NULL), frame, chunk->stored_length) == 0) {
        return TRUE;
    }
    g_autofree guint8 *data = g_malloc(chunk->length);
    if (!decode(decoder, chunk, frame, data, what, error)) {
        return FALSE;
    }
    if (!chunker_is_zero(data, chunk->length)) {
        return refuse(chunk, what, error);
    }
    keep_hole(decoder, chunk, frame);
    return TRUE;
}

gboolean ingot_decoder_known(IngotDecoder *decoder, const IngotChunk *chunk, const void *frame, void *data,
                             const char *what, GError **error)
{
    if (!chunk->hole) {
        return decode(decoder, chunk, frame, data, what, error);
    }
    if (!check_hole(decoder, chunk, frame, what, error)) {
        return FALSE;
    }
    if (data != NULL) {
        memset(data, 0, chunk->length);
    }
    return TRUE;
}

gboolean ingot_decoder_chunk(IngotDecoder *decoder, const IngotChunk *chunk, const void *frame, void *data,
                             const char *what, GError **error)
{
    IngotDigest digest;
    if (!ingot_decoder_known(decoder, chunk, frame, data, what, error)) {
        return FALSE;
    }
    if (chunk->hole) {
        return TRUE;
    }
    ingot_digest_of(data, chunk->length, &digest);
    return ingot_digest_equal(&digest, &chunk->digest) || refuse(chunk, what, error);
}

static void put32(GByteArray *out, guint32 value)
{
    guint32 little = GUINT32_TO_LE(value);
    g_byte_array_append(out, (const guint8 *)&little, sizeof little);
}

GBytes *ingot_seek_table(const IngotIndex *index)
{
    guint count = index->chunks->len;
    GByteArray *out = g_byte_array_sized_new(count * 8 + 17);
    put32(out, SKIPPABLE_MAGIC);
    put32(out, count * 8 + 9);
    for (guint i = 0; i < count; i++) {
        const IngotChunk *chunk = ingot_index_chunk(index, i);
        put32(out, chunk->stored_length);
        put32(out, chunk->length);
    }
    put32(out, count);
    g_byte_array_append(out, (const guint8 *)"", 1); /* descriptor: no checksums */
    put32(out, SEEKABLE_MAGIC);
    return g_byte_array_free_to_bytes(out);
}
