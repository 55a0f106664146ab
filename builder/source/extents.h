/* The identity of a sparse file's bytes: holes are skipped, not read. */
#pragma once

#include <ingot/digest.h>

/* SHA-256 over the file's size and, for each 64 KiB block that holds anything but zeros, its offset and bytes. */
gboolean extents_digest(const char *path, IngotDigest *out, GError **error);
