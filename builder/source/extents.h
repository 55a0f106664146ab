/* The blocks of a sparse file that hold data: holes are skipped, not read, and blocks of zeros count as holes. */
#pragma once

#include <ingot/digest.h>

/* Called with each 64 KiB block (the last may be shorter) that holds anything but zeros, in order. */
typedef void (*ExtentsFunc)(guint64 offset, const void *data, gsize size, gpointer user);
/* *size: the file's, in bytes. */
gboolean extents_visit(const char *path, ExtentsFunc visit, gpointer user, guint64 *size, GError **error);

/* SHA-256 over each such block's offset and bytes, and the file's size. */
gboolean extents_digest(const char *path, IngotDigest *out, GError **error);
