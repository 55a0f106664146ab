/* The index: the table of a disk's chunks in order.
 *
 * Layout before zstd (all integers little-endian): "INGOTIDX", u32 version (1), u32 block size, u32 average chunk,
 * u32 encoder's length, u64 disk size, u64 number of chunks, the encoder's name, then per chunk u32 length, u32 stored
 * length (top bit: a hole), then per chunk that is no hole its 32 digest bytes. Columns, so that the lengths compress.
 * Offsets are sums, so an index that parses covers [0, disk size) and its blob without gap or overlap. */
#pragma once

#include <glib.h>
#include <ingot/digest.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

#define INGOT_INDEX_VERSION 1
#define INGOT_BLOCK_SIZE 4096
/* What is packed, pulled or served has no more: an index and its text, which a peer sends, take 250 MB of memory at
 * most. Each run of zeros is a chunk too, and ends the one before it, so 300 GB of data in chunks of the default
 * average fit where few runs of zeros lie between; a larger disk is cut into larger chunks (packer.h). The local store
 * still reads up to 6,000,000, which older releases wrote. */
#define INGOT_INDEX_CHUNKS_MAX 2400000u
#define INGOT_INDEX_MAX (97u << 20) /* bytes of the largest one, if it does not compress */

typedef struct {
    IngotDigest digest;    /* of the chunk's bytes; all zero for a hole */
    guint64 offset;        /* in the disk, bytes */
    guint64 stored_offset; /* of its frame in the disk blob, bytes */
    guint32 length;        /* of the chunk, bytes */
    guint32 stored_length; /* of its frame, bytes */
    gboolean hole;         /* nothing but zeros */
} IngotChunk;

typedef struct {
    guint32 average;   /* what the chunker aimed at, bytes */
    guint64 disk_size; /* bytes */
    guint64 blob_size; /* all frames, without the seek table, bytes */
    char *encoder;     /* who compressed the frames: see encoder.h */
    GArray *chunks;    /* of IngotChunk */
    GArray *frames;    /* of IngotDigest: of each chunk's frame; NULL: not known. It stands in no index's bytes */
} IngotIndex;

IngotIndex *ingot_index_new(const char *encoder, guint32 average);
/* Appends one chunk; offsets are worked out here. digest NULL: a hole. */
void ingot_index_add(IngotIndex *index, const IngotDigest *digest, guint32 length, guint32 stored_length);
IngotIndex *ingot_index_ref(IngotIndex *index);
void ingot_index_unref(IngotIndex *index);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotIndex, ingot_index_unref)

static inline const IngotChunk *ingot_index_chunk(const IngotIndex *index, guint i)
{
    return &g_array_index(index->chunks, IngotChunk, i);
}
/* The number of the chunk that holds disk byte `offset` (< disk_size). */
guint ingot_index_find(const IngotIndex *index, guint64 offset);

/* To and from the zstd-compressed blob. `what` names it in errors (CORRUPT with an offset, TOO_NEW; LIMIT: it has more
 * than INGOT_INDEX_CHUNKS_MAX chunks). */
GBytes *ingot_index_serialize(const IngotIndex *index);
IngotIndex *ingot_index_parse(const void *data, gsize size, const char *what, GError **error);
/* The same for the index of a disk blob of that size: an index of more chunks than the blob has room for is refused
 * before it is unpacked. */
IngotIndex *ingot_index_parse_for(const void *data, gsize size, guint64 blob_size, const char *what, GError **error);
/* That alone, without unpacking it. *memory: bytes that it takes while it is parsed, at most. */
gboolean ingot_index_check(const void *data, gsize size, guint64 blob_size, const char *what, gsize *memory,
                           GError **error);

#pragma GCC visibility pop
G_END_DECLS
