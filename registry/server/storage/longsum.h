/* Whether an upload has the digest that it is finished with, in either algorithm.
 *
 * The SHA-256 is known by then. A SHA-512 is taken from what is known already of a blob with that SHA-256, or from the
 * bytes as they came; else all of them are read once more, from the upload's own file and from packs. */
#pragma once

#include "server/storage/incoming.h"

/* The upload is complete: its table has the blob's SHA-256. INTERRUPTED: stop (may be NULL) said so, or it is `until`
 * (monotonic) and more was read; another try goes on from there. */
gboolean upload_has_digest(Upload *upload, const OciDigest *digest, gint64 until, StorageStop stop, gpointer user,
                           gboolean *same, GError **error);
void longsum_free(LongSum *sum);
