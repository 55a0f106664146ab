/* Frames that are made already: a pack takes the frame of a chunk from the blob of an earlier pack, where that has it,
 * and does not compress it again.
 *
 * Invariant: a frame that is taken is byte for byte what this program's encoder makes of the chunk. So a blob counts by
 * the table alone that was made while its frames were: its index, with the encoder's name in it, and a checksum of each
 * frame (XXH3, 128 bits). A blob from elsewhere has none. Each frame is checked as it is read, and a damaged one is not
 * taken. The checksums find damage, not malice: whoever may write the table may write the blob.
 *
 * A table is "INGOTFRM", u32 version (1), u32 size of the index, the index as it is stored, the sums of the chunks that
 * are no holes, and the sum of all that. Integers are little-endian. */
#pragma once

#include <ingot/packer.h>

#define FRAMES_MOST (128u << 10) /* that one IngotFrames knows: some 14 MiB of memory, for 16 GiB of data */

typedef struct {
    guint8 bytes[16];
} FrameSum;

FrameSum frame_sum(const void *frame, gsize size);

typedef struct IngotFrames IngotFrames;
IngotFrames *frames_new(void);
void frames_free(IngotFrames *frames);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotFrames, frames_free)
/* Adds the frames of the blob that is open as fd, by its table; fd stays open until frames_free and is closed there.
 * FALSE: the table is damaged or of another encoder, or there are FRAMES_MOST of them already; fd is closed. */
gboolean frames_add(IngotFrames *frames, const void *table, gsize size, int fd);
/* The frame of the chunk with that digest and length, which receives at most ingot_encoder_bound(length) bytes. FALSE:
 * there is none that is whole. Called by several threads at a time. */
gboolean frames_take(const IngotFrames *frames, const IngotDigest *chunk, guint32 length, void *frame, guint32 *size,
                     FrameSum *sum);

/* The sums of an index's frames, by the numbers of their chunks (those of holes are not set), as a table of its blob
 * has them: GArray of FrameSum; free it. NULL: the table is damaged or of another index. The encoder may be any. */
GArray *frames_sums(const void *table, gsize size, const IngotIndex *index);

/* The table of a blob. sums: of FrameSum, of the index's chunks in order, but for the holes. */
GBytes *frames_table(const IngotIndex *index, const GArray *sums);

/* As ingot_pack; a chunk that the frames (may be NULL) have is not compressed again. */
IngotPacked *frames_pack(IngotBlocks *blocks, const IngotPackOptions *options, const IngotFrames *frames, int fd,
                         const char *name, GError **error);
