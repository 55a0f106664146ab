/* Where a disk's bytes come from while it is packed: a raw file (holes by SEEK_DATA) or anything that qemu-nbd reads
 * (qcow2 chains, vmdk, vhd, vhdx, vdi; allocated ranges by NBD block status). One reader, one thread. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

typedef struct IngotBlocks IngotBlocks;

/* Where a disk file's bytes lie: in a file of their own, or within another one, as in an archive. */
typedef struct {
    const char *path;
    guint64 offset, length; /* bytes; length 0: the file's end */
} IngotPart;

/* format: "raw", "qcow2", …, or NULL to find out by the file's magic. qemu-nbd is started where it is needed and ends
 * with the reader, or with the process, however that ends; the thread that opens it may end before. */
IngotBlocks *ingot_blocks_open(const char *path, const char *format, GError **error);
/* The same for a part of a file; `name` names it in errors. */
IngotBlocks *ingot_blocks_open_part(const IngotPart *part, const char *name, const char *format, GError **error);
void ingot_blocks_free(IngotBlocks *blocks);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotBlocks, ingot_blocks_free)

const char *ingot_blocks_path(const IngotBlocks *blocks); /* or its name */
guint64 ingot_blocks_size(const IngotBlocks *blocks);     /* bytes, as the guest sees it */
/* The run at offset that is all of one kind: *length > 0 bytes of data, or of zeros. */
gboolean ingot_blocks_extent(IngotBlocks *blocks, guint64 offset, guint64 *length, gboolean *zero, GError **error);
gboolean ingot_blocks_read(IngotBlocks *blocks, guint64 offset, void *buffer, gsize size, GError **error);
/* Refuses (INVALID) a disk whose file, or one of whose extents, was written, resized, replaced or removed since it was
 * opened: what was read of it may be no state that it ever had. A block device does not tell: one that is mounted to
 * be written is not opened at all (INVALID). */
gboolean ingot_blocks_check_unchanged(const IngotBlocks *blocks, GError **error);

/* The format that a file's bytes tell: "qcow2", "vmdk", "vhdx", "vpc", "vdi" or "raw". NULL: a read error, or (INVALID)
 * a file of another kind, which is named, or of none that is known: one is raw only where its bytes, or a name that
 * ends in ".raw", say so. */
const char *ingot_blocks_probe(const char *path, GError **error);
const char *ingot_blocks_probe_part(const IngotPart *part, GError **error);

#pragma GCC visibility pop
G_END_DECLS
