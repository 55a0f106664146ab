/* Frames: one independent zstd frame (RFC 8878) per chunk; equal chunks give equal frames.
 *
 * That holds for one encoder only: the name says zstd's version and parameters, the index keeps it. One IngotEncoder
 * or IngotDecoder belongs to one thread. The blob ends in the seek table of zstd's seekable format (a skippable frame:
 * contrib/seekable_format/zstd_seekable_compression_format.md of zstd), so other seekable readers can use it. */
#pragma once

#include <glib.h>
#include <ingot/index.h>

G_BEGIN_DECLS

#define INGOT_HOLE_MAX (8u << 20) /* a hole is cut into frames of at most so many bytes */

const char *ingot_encoder_name(void);

typedef struct IngotEncoder IngotEncoder;
IngotEncoder *ingot_encoder_new(void);
void ingot_encoder_free(IngotEncoder *encoder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotEncoder, ingot_encoder_free)
gsize ingot_encoder_bound(gsize size);
/* Compresses size bytes to at most ingot_encoder_bound(size) bytes at frame; returns the frame's length. */
gsize ingot_encoder_frame(IngotEncoder *encoder, const void *data, gsize size, void *frame);
/* The frame of a hole of length bytes (at most INGOT_HOLE_MAX), made once; it stays the encoder's. */
GBytes *ingot_encoder_hole(IngotEncoder *encoder, guint32 length);

typedef struct IngotDecoder IngotDecoder;
IngotDecoder *ingot_decoder_new(void);
void ingot_decoder_free(IngotDecoder *decoder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotDecoder, ingot_decoder_free)
/* Decompresses the chunk's frame into data (chunk->length bytes) and checks its digest. CORRUPT errors name `what` and
 * the frame's offset. A hole's frame is checked to give zeros; data may then be NULL, to check alone. */
gboolean ingot_decoder_chunk(IngotDecoder *decoder, const IngotChunk *chunk, const void *frame, void *data,
                             const char *what, GError **error);

/* The same of a frame that is known to be the chunk's: its digest is not worked out. */
gboolean ingot_decoder_known(IngotDecoder *decoder, const IngotChunk *chunk, const void *frame, void *data,
                             const char *what, GError **error);

/* The seek table of all frames of an index. */
GBytes *ingot_seek_table(const IngotIndex *index);

G_END_DECLS
