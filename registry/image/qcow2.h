/* The metadata of a qcow2 version 3 file whose data clusters lie in the disk's order, holes left out.
 *
 * Format: docs/interop/qcow2.txt of QEMU. Layout: header cluster, refcount table, refcount blocks, L1 table, L2 tables,
 * then the data clusters. All of it follows from the index alone. */
#pragma once

#include <ingot/index.h>

#define QCOW2_CLUSTER (64u << 10) /* bytes */

typedef struct {
    GBytes *metadata;  /* everything before the data clusters */
    GArray *clusters;  /* guint64: where guest cluster i lies in the file; 0: nowhere, zeros */
    guint64 file_size; /* bytes */
} Qcow2Map;

Qcow2Map *qcow2_map_new(const IngotIndex *index);
void qcow2_map_free(Qcow2Map *map);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qcow2Map, qcow2_map_free)
