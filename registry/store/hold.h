/* Holds: blobs that a process counts on, which no other process removes meanwhile (layout.h tells the protocol). A hold
 * is of the thread that took it: threads that make images of the same blobs by one handle don't end each other's. */
#pragma once

#include "store/layout.h"

/* The file of a blob that is there, held from now on; -1: it is not there. The descriptor stays the hold's. */
int hold_blob(IngotStore *store, const IngotDigest *digest);
/* A blob that was just given its name becomes one that is held; the caller has the store's lock. Owns fd. */
void hold_add(IngotStore *store, const IngotDigest *digest, int fd);
/* Ends this thread's holds of a blob, or of a set of digests as text. */
void hold_drop(IngotStore *store, const IngotDigest *digest);
void hold_drop_all(IngotStore *store, GHashTable *digests);
void hold_free(gpointer hold);

typedef enum { HOLD_NONE, HOLD_BY_NOBODY, HOLD_BY_ANOTHER } HoldState;
/* Who removes asks by this, under the store's lock: a blob that is held stays. HOLD_NONE: there is no such blob.
 * HOLD_BY_NOBODY: *fd (close it) keeps others from holding it. */
HoldState hold_claim(IngotStore *store, const IngotDigest *digest, int *fd);
