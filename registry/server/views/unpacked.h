/* Unpacked: the decoded chunks of disks whose views are read, as files that the kernel sends, within a limit.
 *
 * One sparse file a disk, each chunk at its place; the files have no name, so they end with the process, and nothing is
 * believed that another process has written. Only what was decoded and checked by this process comes in. What was used
 * longest ago goes first, disk by disk; one that does not fit is not kept. Thread safe. */
#pragma once

#include <ingot/disk.h>

typedef struct Unpacked Unpacked;
typedef struct UnpackedDisk UnpackedDisk;

/* folder: where the files are; limit: bytes of all together, 0: nothing is kept. */
Unpacked *unpacked_new(const char *folder, guint64 limit);
void unpacked_free(Unpacked *unpacked);    /* after its disks */
guint64 unpacked_size(Unpacked *unpacked); /* bytes that are kept now */

/* What is kept of one disk, nothing at first. */
UnpackedDisk *unpacked_disk_new(Unpacked *unpacked, IngotIndex *index);
void unpacked_disk_free(UnpackedDisk *disk);
/* For ingot_disk_set_cache; it lives as long as the disk. */
const IngotDiskCache *unpacked_disk_cache(UnpackedDisk *disk);
/* Whether all of the range is kept: *fd (the caller's: close it) then has it, at the same offset. */
gboolean unpacked_disk_run(UnpackedDisk *disk, guint64 offset, guint64 size, int *fd);
