/* One file by http(s), whole or not at all.
 *
 * What was received so far lies in PATH.part and is gone on with, also after the process was killed. The file gets its
 * name only once its SHA-256 is the one that is wanted. Connecting is bounded by 10 s, a transfer that stalls by 30 s
 * ($INGOT_TIMEOUT is for both); what was asked for by HTTPS is not taken by HTTP, wherever a redirection leads. */
#pragma once

#include <ingot/digest.h>
#include <ingot/progress.h>

#include "base/file.h"

G_BEGIN_DECLS

#define INGOT_DOWNLOAD_USE ".use" /* CACHE/sources/NAME.use: locked by whoever uses NAME, touched when that began */
/* CACHE/sources/NAME.checked: the record of checked.h, of a file that lies elsewhere. */
#define INGOT_DOWNLOAD_CHECKED ".checked"

gboolean ingot_download(const char *url, const char *path, const IngotDigest *wanted, IngotProgress *progress,
                        GError **error);

/* Fetches it into the cache unless it is there: CACHE/sources/image-HEX, whose digest is checked each time. *use
 * keeps the cache from dropping it as long as it is held. Free both. */
char *ingot_download_cached(const char *cache, const char *url, const IngotDigest *wanted, IngotProgress *progress,
                            IngotLock **use, GError **error);

G_END_DECLS
