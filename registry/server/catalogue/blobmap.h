/* A blob's map: its pieces in order, and where they stand. Of a large blob that is read by windows, each the places of
 * BLOBMAP_WINDOW pieces, so that its first byte costs a window and not a table.
 *
 * Invariant: the map that is given out is the one that was written (its row's sum), and its windows' starts fit the
 * pieces' lengths, or CORRUPT. */
#pragma once

#include "server/catalogue/database.h"

#define BLOBMAP_WINDOW 1024u /* pieces */

typedef struct {
    IngotDigest digest;
    guint64 size; /* bytes */
    gint64 sum;   /* of its row: the same bytes cut in another way have another one */
    guint count;  /* pieces */
    guint32 *ids; /* of them, in order */
    guint windows;
    guint64 *starts;     /* of each window in the blob, and the blob's end behind the last; NULL: to be worked out */
    gboolean is_damaged; /* one of its pieces is known to be */
} BlobMap;

/* NOT_FOUND: there is no such blob. */
BlobMap *blobmap_read(Connection *reader, const IngotDigest *digest, GError **error);
void blobmap_free(BlobMap *map);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlobMap, blobmap_free)

/* Works the starts out from the lengths of all pieces. */
gboolean blobmap_measure(Connection *reader, BlobMap *map, GError **error);
/* Keeps them with the blob, if that is still the same. One window needs none kept. */
gboolean blobmap_keep_starts(Connection *writer, const IngotDigest *digest, gint64 sum, const guint64 *starts,
                             guint windows, GError **error);

typedef struct {
    gint64 pack;
    guint64 offset; /* in the pack */
    guint32 length;
    gboolean damaged;
    IngotDigest digest;
} PiecePlace;
/* The places of a window's pieces; *count: how many. NOT_FOUND: the blob went away since its map was read, unless
 * may_be_gone: then its pieces are known to be there still. */
gboolean blobmap_places(Connection *reader, const BlobMap *map, guint window, gboolean may_be_gone, PiecePlace *places,
                        guint *count, GError **error);

/* Whether a part of the blob is known to be damaged: no push may count on it. */
gboolean blobmap_is_damaged(Connection *reader, const IngotDigest *digest, gboolean *damaged, GError **error);
/* Notes that the copy of a piece that stands there is damaged; *changed: it was not known, and is the one in use. */
gboolean blobmap_mark_damaged(Connection *writer, const IngotDigest *piece, gint64 pack, guint64 offset,
                              gboolean *changed, GError **error);
/* Whether the blob's row stands there as it was when the map was read. */
gboolean blobmap_is_current(Connection *reader, const BlobMap *map, gboolean *current, GError **error);
