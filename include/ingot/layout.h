/* A layout: a file as a list of segments, so that nothing of it needs to be stored.
 *
 * A segment is literal bytes, zeros, a range of a disk, a block of it compressed, or another layout: a tar around a
 * file around a disk is a layout around a layout. Its size is known without making the file; any range of it can be
 * read, and the whole written, by asking the disk for what it holds. Invariants: segments follow each other without gap
 * or overlap, none is empty, and a byte of the disk stands in at most one place. A layout that is done is never
 * changed, so threads may share it. */
#pragma once

#include <ingot/disk.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

typedef struct IngotLayout IngotLayout;

IngotLayout *ingot_layout_new(void);
IngotLayout *ingot_layout_ref(IngotLayout *layout);
void ingot_layout_unref(IngotLayout *layout);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotLayout, ingot_layout_unref)

/* Each appends one segment; a size of 0 appends nothing. bytes: a copy is made. inner: a reference is taken. */
void ingot_layout_add_bytes(IngotLayout *layout, const void *bytes, gsize size);
void ingot_layout_add_zeros(IngotLayout *layout, guint64 size);
void ingot_layout_add_disk(IngotLayout *layout, guint64 offset, guint64 size); /* bytes of the disk */
void ingot_layout_add_layout(IngotLayout *layout, IngotLayout *inner);
/* Zeros up to the next multiple. */
void ingot_layout_pad(IngotLayout *layout, guint64 multiple);

guint64 ingot_layout_size(const IngotLayout *layout);
/* Bytes of memory that it takes, about. */
gsize ingot_layout_memory(const IngotLayout *layout); /* bytes */

/* A range of the file; INVALID where it does not lie within it. Thread safe. */
gboolean ingot_layout_read(const IngotLayout *layout, guint64 offset, void *buffer, gsize size, IngotDisk *disk,
                           GError **error);

/* Whether the range (it has at least one byte) is one run of the disk: *at is then where that begins. */
gboolean ingot_layout_run(const IngotLayout *layout, guint64 offset, guint64 size, guint64 *at);
/* The SHA-256 of the whole, which is read for it, on all cores; progress is by its bytes. */
gboolean ingot_layout_digest(const IngotLayout *layout, IngotDisk *disk, IngotProgress *progress, IngotDigest *digest,
                             GError **error);

/* The whole as a new file: sparse, on all cores, every chunk checked, closed and renamed to path when it is whole,
 * nothing there otherwise. A file that it replaces hands on its mode, access list, owner and group, as far as this
 * process may give them. Like cp, it does not wait for the disk: a power cut or a crash of the kernel before the file
 * system has written it (half a minute, as a rule) can leave a file of the right size that has zeros in it. Where that
 * matters, call fsync(2) on it; a shutdown writes it. A symbolic link stays: what it leads to is written. A block
 * device is written in place, unless it is too small, mounted or otherwise in use (INVALID), and waited for. */
gboolean ingot_layout_export(const IngotLayout *layout, IngotDisk *disk, const char *path, IngotProgress *progress,
                             GError **error);

#pragma GCC visibility pop
G_END_DECLS
