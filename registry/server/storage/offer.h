/* An offer: the frames that a blob will be made of, told before any of them comes, so that only the missing ones need
 * to.
 *
 * It trusts nothing: each frame that comes must have its digest, and the whole blob is hashed out of what is really on
 * the disk before it counts: while frames come, so that its end waits for little. A blob that has the digest which was
 * asked for is proof of all its frames; of one that has not, whoever asked compares each frame that was here with its
 * own digest (proof.h), so that a damaged one is told from a wrong digest. Which frames are here is told only of
 * repositories that the caller may pull from: anybody could ask what others store otherwise.
 *
 * Those who hash take turns: each offer that somebody brings frames of, or waits for, has a few hundred MB at a time,
 * and what nobody is at work on costs nothing. */
#pragma once

#include "server/storage/inside.h"
#include "server/storage/uploadstate.h"

#define OFFER_ENTRY 36 /* bytes of a list for each frame: digest, length */

typedef struct Offer Offer;

/* For an upload that holds its lease, and whose segment file is at `path`. INVALID where the list is malformed. */
Offer *offer_new(Storage *storage, const char *path, const void *frames, gsize size, StorageMaySee may_see,
                 gpointer user, GByteArray *missing, GError **error);
/* The same again, out of its list: one of so many frames, to which they are added in order. fresh: it was missing.
 * TRUE: the offer counts on a piece that is here. */
Offer *offer_restore(Storage *storage, const char *path, guint frames);
gboolean offer_restore_frame(Offer *offer, const IngotDigest *digest, guint32 length, gboolean fresh);
/* When all are: how far it has come, as its upload's state tells. Each must be there: those that were missing up to
 * `next`, and all others. */
void offer_restored(Offer *offer, const UploadState *state);
/* It is not hashed any more. */
void offer_free(Offer *offer);
/* For one who waits for its hash while its upload may go. */
Offer *offer_ref(Offer *offer);
void offer_unref(Offer *offer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Offer, offer_unref)
/* Its frames, until it is complete. */
const Table *offer_table(const Offer *offer);
gsize offer_memory(guint frames);       /* bytes, about, of one of so many */
guint offer_count(const Offer *offer);  /* frames */
guint64 offer_size(const Offer *offer); /* bytes of them */
/* Where a frame stands, or will, in the upload's file; 0: it is in a pack. */
guint64 offer_place(const Offer *offer, guint frame);
/* The missing frame that comes; NULL: all have come. */
const Piece *offer_awaits(const Offer *offer);
/* How far it has come: next, hashed, hashed_size, whole. */
void offer_tell(Offer *offer, UploadState *state);
/* Whether all of its frames are missing: then it counts on no piece, and needs no lease. */
gboolean offer_is_new(const Offer *offer);

/* Bytes of the frames that are missing. */
guint64 offer_missing(const Offer *offer);

/* How many of the bytes that come belong to the running frame; *ends: it ends with them. 0: nothing more is missing. */
gsize offer_take(Offer *offer, gsize size, gboolean *ends);
/* The running frame has come to its end; INVALID if it is not the one that was missing. */
gboolean offer_got(Offer *offer, const IngotDigest *digest, GError **error);
/* Frames have come, and their bytes are in the file: the blob is hashed up to them by a thread of the storage's. */
void offer_hash_on(Offer *offer);
/* What that thread does: of Storage.hashers. */
void offer_hash(gpointer offer, gpointer user);
/* Whether all frames have come and are hashed, or it is of no use. */
gboolean offer_is_hashed(Offer *offer);
/* Waits for that until a time (monotonic), or until stop (may be NULL) says so; whether it has come. Of one that lacks
 * frames there is nothing to wait for. Nobody holds the upload's lock for it. */
gboolean offer_wait(Offer *offer, gint64 until, StorageStop stop, gpointer user);
/* When all has come (INVALID if not) and is hashed (INTERRUPTED if not): the blob's table, with the digest that it has.
 * CORRUPT: a frame that counted as here is known to be damaged, or lost; it is missing in the next offer. Nothing more
 * may come afterwards.
 */
gboolean offer_complete(Offer *offer, Table **table, GError **error);
