/* Which blobs have a piece, and which of them have damaged ones. */
#pragma once

#include "server/catalogue/database.h"

typedef struct {
    gint64 piece, blob;
    IngotDigest digest;
    guint64 size, offset; /* of the blob; of the piece in it, bytes */
} PieceHolder;
/* GArray of PieceHolder: the blobs that have one of the pieces, given by their ids (GUINT_TO_POINTER). All blobs are
 * looked through, once. Free it. */
GArray *pieceusers_holders(Connection *connection, GHashTable *pieces, GError **error);

typedef struct {
    gint64 blob;
    IngotDigest digest;
    guint damaged; /* pieces of it that are known to be */
} DamagedBlob;
/* GArray of DamagedBlob: the blobs that have a damaged piece; free it. */
GArray *pieceusers_damaged(Connection *connection, GError **error);

/* Whether a blob whose table stands in the pack is made of these pieces, as the catalogue has it. One that is not there
 * any more is; so is one that was pushed again, cut in another way, whose table stands elsewhere. */
gboolean pieceusers_same(Connection *connection, const IngotDigest *blob, gint64 pack, guint64 size,
                         const IngotDigest *pieces, guint count, gboolean *same, GError **error);
