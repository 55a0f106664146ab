/* Proof: whether a piece that a push is to count on is really there, which the catalogue alone can't tell.
 *
 * A piece is read and compared with its digest once since the start, and again when its pack's file has been written to
 * since. What turns out to be damaged or lost is noted in the catalogue before the answer is given, so that the bytes
 * that come with the push replace it. What is remembered is bounded; what was forgotten is read again. Thread safe. Not
 * within a change. */
#pragma once

#include "server/catalogue/pieces.h"
#include "server/packs/segment.h"
#include "server/storage/storage.h"

typedef struct Proof Proof;

Proof *proof_new(void);
void proof_free(Proof *proof);

/* Reads a piece that stands in a pack, as the catalogue says: row->length bytes. CORRUPT: it is damaged or lost, which
 * has been noted. */
gboolean proof_read(Storage *storage, const IngotDigest *digest, const PieceRow *row, guint8 *data, GError **error);
/* Whether a piece that the catalogue has as whole is whole. FALSE: it could not be looked at (too many open files). */
gboolean proof_holds(Storage *storage, const IngotDigest *digest, const PieceRow *row, gboolean *holds, GError **error);

/* How far the pieces of a table were looked at. */
typedef struct {
    guint count;   /* of them, from the first on */
    gboolean lack; /* one of these does not hold, and is not a new one that is not there yet */
} Proven;
/* The same for all that were not looked at yet. INTERRUPTED: stop (may be NULL) said so, or it is `until` (monotonic)
 * and at least one more was looked at. What is marked as dead counts: who holds a lease may count on it. */
gboolean proof_table(Storage *storage, const Table *table, Proven *proven, gint64 until, StorageStop stop,
                     gpointer user, GError **error);
