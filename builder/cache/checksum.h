/* Checksums of the cache's own files: XXH3, 128 bits (xxhash.com), as hex. They find damage, not malice: who may write
 * to the folder may write a checksum too. What comes from elsewhere is checked by SHA-256 on its way in. */
#pragma once

#include <glib.h>

typedef struct Checksum Checksum;
Checksum *checksum_new(void);
void checksum_add(Checksum *checksum, const void *data, gsize size);
char *checksum_finish(Checksum *checksum); /* frees it; free the text */

/* Of a whole file; fsyncs it first where sync is set. Free it. */
char *checksum_of_file(const char *path, gboolean sync, GError **error);
