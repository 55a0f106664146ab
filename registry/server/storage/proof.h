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
/* The same for all pieces of a table that the catalogue has; *whole: all of them hold, but for new ones that are not
 * there yet. INTERRUPTED: stop (may be NULL) said so. */
gboolean proof_table(Storage *storage, const Table *table, StorageStop stop, gpointer user, gboolean *whole,
                     GError **error);
