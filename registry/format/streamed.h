/* A machine's disks as streamOptimized VMDKs in one archive, behind what tells their sizes: each is measured, and
 * written on the way where the input is for a file (early.h), at the place that it will have. */
#pragma once

#include <ingot/format.h>

typedef struct {
    IngotLayout *layout;
    IngotDigest digest; /* zeros where nobody wants it */
} StreamedDisk;

/* The whole archive, of all of the input's disks (GArray of StreamedDisk): what its sizes and places are like does not
 * depend on the digests. */
typedef IngotLayout *(*StreamedArchive)(const IngotFormatInput *input, const GArray *disks);

/* The disks, as many as the input has: GArray of StreamedDisk; free it. */
GArray *streamed_disks(const IngotFormatInput *input, StreamedArchive archive, gboolean digests, GError **error);
static inline const StreamedDisk *streamed_disk(const GArray *disks, guint k)
{
    return &g_array_index(disks, StreamedDisk, k);
}
