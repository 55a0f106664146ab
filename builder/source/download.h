/* One file by http(s), whole or not at all.
 *
 * What was received so far lies in PATH.part and is gone on with, also after the process was killed. The file gets its
 * name only once its SHA-256 is the one that is wanted. Connecting is bounded by 10 s, a transfer that stalls by 30 s
 * ($INGOT_TIMEOUT seconds for both). */
#pragma once

#include <ingot/digest.h>
#include <ingot/progress.h>

gboolean download_file(const char *url, const char *path, const IngotDigest *wanted, IngotProgress *progress,
                       GError **error);
/* Refuses a file that is not what was wanted, naming both digests. */
gboolean download_check(const char *path, const char *name, const IngotDigest *wanted, GError **error);
