/* The insides of an IngotDisk, for the files that read it whole (export.c). Frames and chunks are loaded by any
 * thread that brings its own decoder. */
#pragma once

#include <ingot/disk.h>
#include <ingot/encoder.h>

struct IngotDisk {
    char *path;
    int fd;
    IngotIndex *index;
    IngotDecoder *decoder; /* of ingot_disk_read and ingot_disk_stream */
    guint8 *chunk;         /* the one that was read last */
    guint cached;          /* its number; G_MAXUINT: none */
};
