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

typedef enum { INGOT_DISK_RAW, INGOT_DISK_QCOW2 } IngotDiskFormat;
gboolean ingot_disk_format_parse(const char *text, IngotDiskFormat *format, GError **error);

/* The whole disk as a new file: sparse, on all cores, renamed to path when it is whole, nothing there otherwise. Like
 * cp, it does not wait for the disk: the store holds what a power cut may take. */
gboolean ingot_disk_export(IngotDisk *disk, const char *path, IngotDiskFormat format, IngotProgress *progress,
                           GError **error);
/* The raw disk to a descriptor that cannot seek (a pipe). */
gboolean ingot_disk_stream(IngotDisk *disk, int fd, IngotProgress *progress, GError **error);
/* Reads and checks everything, writes nothing. */
gboolean ingot_disk_verify(IngotDisk *disk, IngotProgress *progress, GError **error);

G_END_DECLS
