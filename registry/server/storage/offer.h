/* An offer: the frames that a blob will be made of, told before any of them comes, so that only the missing ones need
 * to.
 *
 * It trusts nothing: each frame that comes must have its digest, and the whole blob is hashed before it counts. Which
 * frames are here is told only of repositories that the caller may pull from: anybody could ask what others store
 * otherwise. */
#pragma once

#include "server/storage/inside.h"

typedef struct Offer Offer;

/* For an upload that holds its lease. INVALID where the list is malformed. */
Offer *offer_new(Storage *storage, const void *frames, gsize size, StorageMaySee may_see, gpointer user,
                 GByteArray *missing, GError **error);
void offer_free(Offer *offer);

/* How many of the bytes that come belong to the running frame; *ends: it ends with them. 0: nothing more is missing. */
gsize offer_take(Offer *offer, gsize size, gboolean *ends);
/* The running frame has come to its end; INVALID if it is not the one that was missing. */
gboolean offer_got(Offer *offer, const IngotDigest *digest, GError **error);
/* When all has come (INVALID if not): the blob's table, with the digest that it has, wanted or not; fd is the segment
 * file with the new frames. A frame that turned out to be damaged is noted, so that it counts as missing the next time
 * (CORRUPT). */
Table *offer_complete(Offer *offer, Storage *storage, const IngotDigest *wanted, int fd, const char *path,
                      GError **error);
