/* One file by http(s), whole or not at all.
 *
 * What was received so far lies in PATH.part and is gone on with, also after the process was killed. The file gets its
 * name only once it is the one that is wanted. Connecting is bounded by 10 s, a transfer that stalls by 30 s
 * ($INGOT_TIMEOUT is for both); what was asked for by HTTPS is not taken by HTTP, wherever a redirection leads. */
#pragma once

#include <ingot/digest.h>
#include <ingot/progress.h>

#include "base/file.h"

G_BEGIN_DECLS

#define INGOT_DOWNLOAD_USE ".use" /* CACHE/sources/NAME.use: locked by whoever uses NAME, touched when that began */
/* CACHE/sources/NAME.checked: the record of checked.h, of a file that lies elsewhere. */
#define INGOT_DOWNLOAD_CHECKED ".checked"

/* What a file must be, looked at when all of it has come. FALSE and CORRUPT: it is another. */
typedef gboolean (*IngotDownloadCheck)(const char *path, const char *name, gpointer user, GError **error);
typedef struct {
    const char *url;
    const char *token; /* a bearer's, shown to the URL's host alone; NULL: nothing is shown */
    guint64 most;      /* bytes, beyond which it is LIMIT; 0: no limit */
    gboolean anew;     /* what another run has received is not gone on with */
    gboolean passing;  /* it is read once and removed, so it is not flushed: after a loss of power it may lack bytes */
    IngotDownloadCheck check;
    gpointer user;
} IngotDownloadWish;
/* received (may be NULL) grows by the bytes that come. NOT_FOUND: 404 and 410; DENIED: 401 and 403. */
gboolean ingot_download_as(const IngotDownloadWish *wish, const char *path, guint64 *received, IngotProgress *progress,
                           GError **error);
/* By its SHA-256. */
gboolean ingot_download(const char *url, const char *path, const IngotDigest *wanted, IngotProgress *progress,
                        GError **error);

/* Fetches it into the cache unless it is there: CACHE/sources/image-HEX, whose digest is checked each time. *use
 * keeps the cache from dropping it as long as it is held. Free both. */
char *ingot_download_cached(const char *cache, const char *url, const IngotDigest *wanted, IngotProgress *progress,
                            IngotLock **use, GError **error);

G_END_DECLS
