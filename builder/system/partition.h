/* Where a simple disk's one system is, and what lies beside it. */
#pragma once

#include "image/nbd.h"

typedef struct {
    guint64 offset, size; /* bytes; a size of 0: there is none */
} PartitionRange;

typedef struct {
    PartitionRange system; /* the only one that is none of the others and not for the BIOS to boot; or none */
    PartitionRange efi;
    GArray *swaps; /* of PartitionRange: by their type, or by what is written in them */
} PartitionTable;

/* A disk without a partition table that sfdisk reads has none of all. */
gboolean partition_read(IngotNbd *disk, const char *workdir, PartitionTable *table, GError **error);
void partition_clear(PartitionTable *table);
