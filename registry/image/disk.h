/* The insides of an IngotDisk, for the files that read it whole (sweep.c). */
#pragma once

#include "image/encoder.h"
#include <ingot/disk.h>

#include "base/idle.h"

struct IngotDisk {
    char *name; /* of the blob, in errors */
    IngotDiskBlob read;
    gpointer blob;
    GDestroyNotify free_blob;
    IngotIndex *index;
    const IngotDiskCache *cache; /* NULL: none */
    IngotDiskGate gate;          /* NULL: none */
    gpointer gate_user;
    Idle cursors; /* that nobody uses */
};
