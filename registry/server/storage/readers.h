/* Readers: whoever reads a blob when it is removed reads it to its end, in every process that serves the folder.
 *
 * The process that collects secures its own readers: before the rows of a blob go, all of its windows are loaded, and
 * stay until it is let go of. Of the readers of other processes it knows nothing. Those processes hold a lease each
 * (leases.h): a piece that was marked after that stays, so the places of a removed blob's pieces can still be looked
 * up, and the first reader that needs one of them has the blob secured. Now and then a process secures what it reads of
 * blobs that have gone, and moves its lease to the epoch of before: what was marked by then may go. A process that ends
 * without a word keeps garbage for as long as its lease lives. */
#pragma once

#include "server/storage/inside.h"

/* Takes the lease, where others serve the folder as well; without it (the disk is full) readers of what others remove
 * may not reach the end. */
void readers_begin(Storage *storage);
void readers_end(Storage *storage);
/* Secures those whose blob has gone, and moves the lease. */
void readers_move(Storage *storage);

/* Before blobs leave the catalogue: secures those who read them now. */
void readers_secure(Storage *storage, const IngotDigest *digests, guint count);
/* Once they have left it, before any of their pieces does: the same for those who came meanwhile. */
void readers_secure_gone(Storage *storage);
/* Whether the blob has gone and is secured. */
gboolean readers_reach(StorageBlob *blob);
