/* Packing: a disk becomes a disk blob and its index, in one parallel pass with bounded memory.
 *
 * Equal bytes give equal blobs on every run and with every number of threads: chunks are cut by content alone,
 * and frames come from one encoder. */
#pragma once

#include <ingot/blocks.h>
#include <ingot/index.h>
#include <ingot/progress.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

typedef struct {
    guint threads;           /* 0: one per core */
    guint32 average;         /* chunk size aimed at, bytes; 0: the default, which is greater for a huge disk */
    IngotProgress *progress; /* may be NULL; counts bytes of the disk */
} IngotPackOptions;

typedef struct {
    IngotIndex *index;  /* with its frames' digests */
    IngotDigest digest; /* of the whole blob, seek table included */
    guint64 size;       /* of the whole blob, bytes */
    guint64 data;       /* bytes of the disk that are no holes */
    guint64 taken;      /* bytes of those whose frames were made already */
    GBytes *table;      /* of the blob's frames, for a later pack */
} IngotPacked;

/* Writes the blob to fd, from its start (`name` names it in errors). A disk whose size is no multiple of 512 is
 * INVALID; the last block may be short. LIMIT: it has more than INGOT_INDEX_CHUNKS_MAX runs of data and zeros; where
 * the zeros make them, no average helps. */
IngotPacked *ingot_pack(IngotBlocks *blocks, const IngotPackOptions *options, int fd, const char *name, GError **error);
void ingot_packed_free(IngotPacked *packed);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotPacked, ingot_packed_free)

#pragma GCC visibility pop
G_END_DECLS
