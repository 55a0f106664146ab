/* Codecs: how a format compresses a disk block by block, each block alone, so that any part of the file can be made
 * anew without the parts before it.
 *
 * Invariant: as long as a codec has the same name, the same block gives the same bytes. */
#pragma once

#include <ingot/disk.h>

typedef struct {
    /* Changes with all that changes the bytes; has no blanks: "libdeflate-1.14-6". */
    const char *(*name)(void);
    guint32 block; /* bytes of the disk */
    guint32 bound; /* bytes that they become at most */
    gpointer (*start)(void);
    void (*end)(gpointer state);
    /* data: one block, at that offset of its own disk, with zeros where that has ended. Returns how many bytes it wrote
     * to out, at least one. */
    guint32 (*encode)(gpointer state, guint64 offset, const void *data, void *out);
} Codec;

/* A codec at work, for one thread at a time. They are kept for the next one who asks. */
typedef struct Coder Coder;
Coder *coder_take(const Codec *codec);
void coder_give(Coder *coder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Coder, coder_give)

/* The disk's block at offset (of joined disks: a block of one of them), coded: *size bytes, the coder's until it is
 * used again. NULL: the disk can't be read. */
const void *coder_block(Coder *coder, IngotDisk *disk, guint64 offset, guint32 *size, GError **error);
