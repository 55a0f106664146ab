/* The insides of an IngotDisk, for the files that read it whole (sweep.c) or join several (joined.c). */
#pragma once

#include <ingot/disk.h>

#include "base/idle.h"
#include "image/encoder.h"

/* The frames whose chunks were found to be right, by their sums. */
typedef struct {
    GMutex lock;
    GArray *sums;   /* of FrameSum, by the chunks' numbers */
    guint8 *known;  /* of each, whether its sum is */
    guint unknown;  /* how many are not, of those that are no holes */
    gboolean fresh; /* something was found out that no table had */
} DiskSums;

struct IngotDisk {
    char *name; /* of the blob, in errors */
    IngotDiskBlob read;
    gpointer blob;
    GDestroyNotify free_blob;
    IngotIndex *index;
    DiskSums *sums;              /* NULL: none are kept */
    const IngotDiskCache *cache; /* NULL: none */
    IngotDiskGate gate;          /* NULL: none */
    gpointer gate_user;
    Idle cursors;       /* that nobody uses */
    GPtrArray *members; /* of IngotDisk, joined; NULL: it is one disk, which what stands above is of */
    guint64 *bases;     /* of each member */
};

/* --- joined disks (joined.c) --- */
gboolean joined_read(IngotDisk *disk, guint64 offset, void *buffer, gsize size, GError **error);
gboolean joined_each(IngotDisk *disk, IngotDiskTake take, gpointer user, IngotProgress *progress, GError **error);
void joined_free(IngotDisk *disk); /* the members */

/* --- one disk --- */
void disk_sums_free(DiskSums *sums); /* may be NULL */
/* A chunk of the disk from its frame, checked, as ingot_decoder_chunk has it. */
gboolean disk_decode(const IngotDisk *disk, IngotDecoder *decoder, const IngotChunk *chunk, const void *frame,
                     void *data, GError **error);
