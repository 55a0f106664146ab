/* Files that have the SHA-256 that was wanted.
 *
 * A record remembers which file was found to have which: the digest, the file's path, device, inode, size and the times
 * of its last changes (to the nanosecond). A file that is still that one is not read again. Clocks of file systems go
 * in ticks: a file that had changed just before it was read could change again within the same one, so it is not
 * remembered yet. */
#pragma once

#include <ingot/digest.h>
#include <ingot/progress.h>

G_BEGIN_DECLS

/* Refuses a file that is not what was wanted (CORRUPT), naming both digests. name: what errors call it. */
gboolean ingot_checked_read(const char *path, const char *name, const IngotDigest *wanted, GError **error);

/* The same, but for a file that the record knows; else the record is written (one that cannot be is only
 * a message). record: NULL: nothing is remembered. INVALID: it is no regular file. */
gboolean ingot_checked_once(const char *path, const IngotDigest *wanted, const char *record, IngotProgress *progress,
                            GError **error);

G_END_DECLS
