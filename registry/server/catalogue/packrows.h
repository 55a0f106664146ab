/* Packs as rows: which there are, how much of each lives, what stands in one, and that it stands elsewhere now. */
#pragma once

#include "server/catalogue/database.h"

typedef struct {
    gint64 pack;
    guint64 size, live; /* bytes: of the file; of what is in use, with its tables */
} PackUsage;
/* GArray of PackUsage: all packs but those that are spared (spared.h); free it. */
GArray *packrows_usage(Connection *connection, GError **error);
/* How many packs are smaller than that. */
gboolean packrows_smaller(Connection *connection, guint64 size, guint64 *count, GError **error);

typedef struct {
    gint64 id;
    IngotDigest digest; /* all zero where the row has none */
    guint64 offset;
    guint32 length;
    gboolean damaged; /* is known to be */
} PackPiece;
/* GArray of PackPiece: what stands in the pack from the offset on, in order; free it. */
GArray *packrows_pieces(Connection *connection, gint64 pack, guint64 from, GError **error);
/* Whether the piece still stands there. */
gboolean packrows_stands(Connection *connection, const PackPiece *piece, gint64 pack, gboolean *stands, GError **error);
/* The piece of an id; *found FALSE: there is none. */
gboolean packrows_piece(Connection *connection, gint64 id, IngotDigest *digest, guint32 *length, gboolean *found,
                        GError **error);

typedef struct {
    IngotDigest digest;
    guint64 size;
    GArray *pieces; /* of guint32: their ids in order */
} PackBlob;
/* GArray of PackBlob: the blobs whose tables stand in the pack; free it. */
GArray *packrows_blobs(Connection *connection, gint64 pack, GError **error);

typedef struct {
    char *repository, *tag; /* NULL: no tag names it */
} PackUser;
/* GArray of PackUser: the images that need a blob, given by its id; free it. */
GArray *packrows_users(Connection *connection, gint64 blob, GError **error);

/* The piece stands in another pack now, if it still stood where it did. */
gboolean packrows_move_piece(Connection *writer, gint64 id, gint64 from, gint64 to, guint64 offset, GError **error);
gboolean packrows_move_blobs(Connection *writer, gint64 from, gint64 to, GError **error);
/* The piece that stands there is not damaged. */
gboolean packrows_heal(Connection *writer, const IngotDigest *digest, gint64 pack, guint64 offset, GError **error);
/* Forgets a pack in which nothing stands. */
gboolean packrows_drop(Connection *writer, gint64 pack, GError **error);
