/* Reading a packed disk back: every chunk is checked against the index before a byte of it is used. */
#pragma once

#include <ingot/index.h>
#include <ingot/progress.h>

G_BEGIN_DECLS

typedef struct IngotDisk IngotDisk;

/* The blob at path, by its index (a reference is taken). A blob of another length or another seek table than the index
 * tells is CORRUPT. */
IngotDisk *ingot_disk_open(const char *path, IngotIndex *index, GError **error);
void ingot_disk_free(IngotDisk *disk);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotDisk, ingot_disk_free)

/* Any range of the disk. One thread at a time. */
gboolean ingot_disk_read(IngotDisk *disk, guint64 offset, void *buffer, gsize size, GError **error);

/* Goes through the whole disk on all cores: take gets every byte that is in no hole, checked, once, in any order and
 * from several threads at a time; it returns FALSE with an error to stop. */
typedef gboolean (*IngotDiskTake)(guint64 offset, const void *data, gsize size, gpointer user, GError **error);
gboolean ingot_disk_each(IngotDisk *disk, IngotDiskTake take, gpointer user, IngotProgress *progress, GError **error);
/* The raw disk to a descriptor that cannot seek (a pipe). */
gboolean ingot_disk_stream(IngotDisk *disk, int fd, IngotProgress *progress, GError **error);
/* Reads and checks everything, writes nothing. */
gboolean ingot_disk_verify(IngotDisk *disk, IngotProgress *progress, GError **error);

G_END_DECLS
