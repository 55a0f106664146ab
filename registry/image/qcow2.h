/* A qcow2 version 3 file whose data clusters lie in the disk's order, holes left out.
 *
 * Format: docs/interop/qcow2.txt of QEMU. Layout: header cluster, refcount table, refcount blocks, L1 table, L2 tables
 * (only those that are needed), data clusters. All of it follows from the index alone, so data can be written in any
 * order by any thread. Clusters that follow each other on the disk without a hole do so in the file, too. */
#pragma once

#include <ingot/index.h>

#define QCOW2_CLUSTER (64u << 10) /* bytes */

typedef struct Qcow2 Qcow2;

Qcow2 *qcow2_new(const IngotIndex *index);
void qcow2_free(Qcow2 *qcow2);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qcow2, qcow2_free)

guint64 qcow2_file_size(const Qcow2 *qcow2); /* bytes */
/* Where byte `offset` of the disk lies in the file; it must be part of a chunk that is no hole. The rest of the chunk
 * follows it. */
guint64 qcow2_place(const Qcow2 *qcow2, guint64 offset);
/* Everything but the data clusters, into a file of that size that is all zeros. */
gboolean qcow2_write_metadata(const Qcow2 *qcow2, int fd, const char *name, GError **error);
