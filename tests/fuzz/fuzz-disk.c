/* Disk blobs: the input says which chunks a disk has and what is wrong with their frames and with the file. Whatever it
 * is, no byte is read that the index does not vouch for, and a blob without a fault is read in full.
 *
 * The input: how many chunks, then five bytes for each (Make), two for what is done to the file (spoil), and the
 * bytes of those frames that are not made here. */
#include <ingot/disk.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "fuzz.h"
#include "image/chunker.h"
#include "image/encoder.h"

#define AVERAGE (16u << 10)
#define CHUNKS_MAX 8u
#define BLOCKS_MAX 8u
#define DECODED_MAX (64u << 10)

enum { GOOD, GOOD_HOLE, RAW, RAW_HOLE, FLIPPED, WRONG_DIGEST, FULL_HOLE, KINDS };

typedef struct {
    uint8_t kind, blocks, fill, a, b;
} Make;

typedef struct {
    const uint8_t *data;
    size_t size;
} Input;

typedef struct {
    IngotIndex *index;
    IngotEncoder *encoder;
    GByteArray *blob;
    gboolean good; /* nothing is wrong so far */
} Making;

/* At most size bytes off the input's front. */
static Input take(Input *input, size_t size)
{
    Input taken = {input->data, MIN(size, input->size)};
    input->data += taken.size;
    input->size -= taken.size;
    return taken;
}

static void add(Making *making, const IngotDigest *digest, guint32 length, const void *frame, gsize size)
{
    ingot_index_add(making->index, digest, length, (guint32)size);
    g_byte_array_append(making->blob, frame, (guint)size);
}

/* A frame of the input's own bytes; where it decodes to a whole chunk, the index says so. */
static void add_raw(Making *making, const Make *make, guint32 length, Input frame)
{
    IngotDigest digest = {{0}};
    g_autofree guint8 *decoded = g_malloc(DECODED_MAX);
    gsize size = ZSTD_decompress(decoded, DECODED_MAX, frame.data, frame.size);
    if (!ZSTD_isError(size)) {
        ingot_digest_of(decoded, size, &digest);
    }
    making->good = FALSE;
    add(making, make->kind == RAW_HOLE ? NULL : &digest, length, frame.data, frame.size);
}

static void add_chunk(Making *making, const Make *make, gboolean last, Input *rest)
{
    guint32 length = (make->blocks % BLOCKS_MAX + 1) * INGOT_BLOCK_SIZE - (last ? make->b : 0);
    if (make->kind == RAW || make->kind == RAW_HOLE) {
        add_raw(making, make, length, take(rest, make->a + 256u * make->b));
        return;
    }
    gboolean zeros = make->kind == GOOD_HOLE, hole = zeros || make->kind == FULL_HOLE;
    g_autofree guint8 *content = g_malloc(length);
    for (guint32 i = 0; i < length; i++) {
        content[i] = zeros ? 0 : (guint8)(make->fill + i / 64 * make->a);
    }
    IngotDigest digest;
    ingot_digest_of(content, length, &digest);
    g_autofree guint8 *frame = g_malloc(ingot_encoder_bound(length));
    gsize size = ingot_encoder_frame(making->encoder, content, length, frame);
    if (make->kind == FLIPPED) {
        frame[make->a % size] ^= make->fill | 1;
    } else if (make->kind == WRONG_DIGEST) {
        digest.bytes[make->a % INGOT_DIGEST_SIZE] ^= make->fill | 1;
    }
    making->good = making->good && (make->kind == GOOD || make->kind == GOOD_HOLE);
    add(making, hole ? NULL : &digest, length, frame, size);
}

/* The index as it comes from a registry, or NULL where none could be like this. */
static IngotIndex *reparse(const IngotIndex *index)
{
    g_autoptr(GBytes) bytes = ingot_index_serialize(index);
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);
    return ingot_index_parse(data, size, "index", NULL);
}

/* What happens to a file: cut, lengthened, a byte changed. */
static void spoil(Making *making, const Input *how)
{
    GByteArray *blob = making->blob;
    if (how->size < 2 || how->data[0] % 4 == 0) {
        return;
    }
    making->good = FALSE;
    guint at = blob->len - 1 - how->data[1] % blob->len;
    switch (how->data[0] % 4) {
    case 1:
        g_byte_array_set_size(blob, at);
        break;
    case 2:
        g_byte_array_append(blob, how->data, 2);
        break;
    default:
        blob->data[at] ^= 1u << (how->data[0] / 4 % 8);
    }
}

static gboolean is_vouched_for(const IngotChunk *chunk, const guint8 *data)
{
    IngotDigest digest;
    ingot_digest_of(data, chunk->length, &digest);
    return chunk->hole ? chunker_is_zero(data, chunk->length) : ingot_digest_equal(&digest, &chunk->digest);
}

/* Chunk by chunk, and across their borders; the whole is well if each of them is. */
static void read_disk(IngotDisk *disk, const IngotIndex *index, gboolean good)
{
    g_autofree guint8 *whole = g_malloc(index->disk_size);
    gboolean all = TRUE;
    for (guint i = 0; i < index->chunks->len; i++) {
        const IngotChunk *chunk = ingot_index_chunk(index, i);
        gboolean ok = ingot_disk_read(disk, chunk->offset, whole + chunk->offset, chunk->length, NULL);
        g_assert(!ok || is_vouched_for(chunk, whole + chunk->offset));
        all = all && ok;
    }
    g_assert(all || !good);
    g_assert(ingot_disk_verify(disk, NULL, NULL) == all);
    g_autofree guint8 *again = g_malloc(index->disk_size);
    g_assert(ingot_disk_read(disk, 1, again, index->disk_size - 1, NULL) == all);
    g_assert(!all || memcmp(again, whole + 1, index->disk_size - 1) == 0);
    g_assert(!ingot_disk_read(disk, 1, again, index->disk_size, NULL));
    g_assert(!ingot_disk_read(disk, G_MAXUINT64, again, 2, NULL));
}

static void decode_chunks(const IngotIndex *index, const GByteArray *blob)
{
    g_autoptr(IngotDecoder) decoder = ingot_decoder_new();
    for (guint i = 0; i < index->chunks->len; i++) {
        const IngotChunk *chunk = ingot_index_chunk(index, i);
        g_autofree guint8 *frame = g_memdup2(blob->data + chunk->stored_offset, chunk->stored_length);
        g_autofree guint8 *data = g_malloc(chunk->length);
        g_autoptr(GError) error = NULL;
        gboolean ok = ingot_decoder_chunk(decoder, chunk, frame, data, "blob", &error);
        g_assert(ok == (error == NULL));
        g_assert(!ok || is_vouched_for(chunk, data));
        g_assert(!chunk->hole || ingot_decoder_chunk(decoder, chunk, frame, NULL, "blob", NULL) == ok);
    }
}

static void open_disk(const GByteArray *blob, IngotIndex *index, gboolean good)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = g_strdup("/dev/shm/ingot-fuzz-XXXXXX"); /* a link to the blob would not be followed */
    int fd = g_mkstemp(path);
    g_assert(fd >= 0 && write(fd, blob->data, blob->len) == (ssize_t)blob->len);
    g_autoptr(IngotDisk) disk = ingot_disk_open(path, index, &error);
    close(fd);
    g_assert(unlink(path) == 0);
    g_assert((disk == NULL) == (error != NULL));
    g_assert(disk != NULL || !good);
    if (disk != NULL) {
        read_disk(disk, index, good);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = {data, size};
    Input count = take(&input, 1);
    Make makes[CHUNKS_MAX] = {{0}};
    guint chunks = count.size == 0 ? 1 : count.data[0] % CHUNKS_MAX + 1;
    for (guint i = 0; i < chunks; i++) {
        Input one = take(&input, sizeof(Make));
        memcpy(&makes[i], one.data == NULL ? (const uint8_t *)"" : one.data, one.size);
        makes[i].kind %= KINDS;
    }
    Input damage = take(&input, 2);
    g_autoptr(IngotIndex) made = ingot_index_new(ingot_encoder_name(), AVERAGE);
    g_autoptr(IngotEncoder) encoder = ingot_encoder_new();
    g_autoptr(GByteArray) blob = g_byte_array_new();
    Making making = {made, encoder, blob, TRUE};
    for (guint i = 0; i < chunks; i++) {
        add_chunk(&making, &makes[i], i + 1 == chunks, &input);
    }
    g_autoptr(IngotIndex) index = reparse(made);
    g_assert(index != NULL || !making.good);
    if (index == NULL) {
        return 0;
    }
    decode_chunks(index, blob);
    g_autoptr(GBytes) table = ingot_seek_table(index);
    g_byte_array_append(blob, g_bytes_get_data(table, NULL), (guint)g_bytes_get_size(table));
    spoil(&making, &damage);
    open_disk(blob, index, making.good);
    return 0;
}
