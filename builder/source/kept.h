/* Disk files that the cache keeps of sources, and their checksums.
 *
 * DISK.sum holds XXH3 (128 bits, xxhash.com) over the disk's size and each of its 64 KiB blocks that holds anything but
 * zeros, with its offset; so a copy whose holes lie elsewhere is the same disk. The disk gets its name last: a disk
 * without a checksum is unfinished. Every use of a disk reads it: a flipped bit changes neither its inode nor its
 * times, and 650 MB of data take a quarter of a second from memory, which the build would read anyway. */
#pragma once

#include <ingot/progress.h>

typedef enum {
    KEPT_FAILED, /* an error is set */
    KEPT_NONE,   /* there is none, or there was one and it is damaged: then it is removed, with a message */
    KEPT_WHOLE,
} KeptState;

/* Looks for the disk at path and compares it with its checksum. */
KeptState kept_find(const char *path, IngotProgress *progress, GError **error);
/* Moves a finished disk to path (on the same file system), with its checksum. Where that cannot be written, which is
 * said, the disk serves this build alone: the next one finds it unfinished. */
gboolean kept_publish(const char *made, const char *path, IngotProgress *progress, GError **error);
/* Removes the disk at path and its checksum; nothing there is not an error. */
gboolean kept_remove(const char *path, GError **error);

/* The checksum itself, as hex. Free it. */
char *kept_checksum(const char *path, GError **error);
