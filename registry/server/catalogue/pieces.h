/* Pieces, packs and blobs as rows: where each piece stands, and what a blob is made of.
 *
 * Invariants: a piece has one place; a copy that comes later replaces it only where the one that is there is known to
 * be damaged or is marked as dead (marks.h). Questions about many pieces are asked at once. */
#pragma once

#include "server/catalogue/database.h"

typedef struct {
    gint64 id; /* 0: there is none of this digest */
    gint64 pack;
    guint64 offset; /* in the pack */
    guint32 length; /* bytes */
    gboolean damaged, marked;
    gint64 mark; /* epoch of its mark (marks.h), where it is marked */
} PieceRow;

/* rows[i] receives what is known of digests[i]. */
gboolean pieces_find(Connection *connection, const IngotDigest *const *digests, guint count, PieceRow *rows,
                     GError **error);
/* Whether a new upload may count on it. */
static inline gboolean pieces_is_whole(const PieceRow *row, guint32 length)
{
    return row->id > 0 && row->length == length && !row->damaged && !row->marked;
}

/* Whether an upload whose lease has that epoch may go on counting on it. */
static inline gboolean pieces_is_held(const PieceRow *row, guint32 length, gint64 epoch)
{
    return row->id > 0 && row->length == length && !row->damaged && (!row->marked || row->mark > epoch);
}

/* A new piece, or the new place of one that is damaged or marked. */
gboolean pieces_put(Connection *writer, const IngotDigest *digest, guint32 length, gint64 pack, guint64 offset,
                    GError **error);
/* A piece that a blob has and that is nowhere: it is damaged, at no place (offset 0) of a pack that needs it. */
gboolean pieces_put_placeless(Connection *writer, const IngotDigest *digest, guint32 length, gint64 pack,
                              GError **error);
/* Takes its mark away: a blob has it again. */
gboolean pieces_revive(Connection *writer, gint64 id, GError **error);

gboolean pieces_add_pack(Connection *writer, gint64 pack, guint64 size, GError **error);
gboolean pieces_resize_pack(Connection *writer, gint64 pack, guint64 size, GError **error);
/* How many bytes of its file count; 0: it is not known. */
gboolean pieces_pack_size(Connection *connection, gint64 pack, guint64 *size, GError **error);
/* Whether the pack is known; how many are. */
gboolean pieces_has_pack(Connection *connection, gint64 pack, gboolean *known, GError **error);
gboolean pieces_count_packs(Connection *connection, guint64 *count, GError **error);
/* Calls the function for each piece of a pack, in the order of their places. */
typedef gboolean (*PieceFunc)(const PieceRow *row, const IngotDigest *digest, gpointer user, GError **error);
gboolean pieces_each_of(Connection *connection, gint64 pack, PieceFunc func, gpointer user, GError **error);
/* All of them; those that were lost; those with a damaged piece: GArray of gint64, ascending; free it. */
GArray *pieces_list_packs(Connection *connection, GError **error);
GArray *pieces_lost_packs(Connection *connection, GError **error);
GArray *pieces_damaged_packs(Connection *connection, GError **error);
/* How many pieces of a pack count as whole. */
gboolean pieces_whole_of(Connection *connection, gint64 pack, guint64 *count, GError **error);
/* The pack is away: each piece of it that counted as whole counts as damaged. */
gboolean pieces_lose_pack(Connection *writer, gint64 pack, GError **error);
/* It is there again: what pieces_lose_pack has done is undone; *count: pieces. */
gboolean pieces_find_pack(Connection *writer, gint64 pack, guint64 *count, GError **error);

/* A new blob; ids: of its pieces in order, little-endian. *blob receives its id. */
gboolean pieces_add_blob(Connection *writer, const IngotDigest *digest, guint64 size, gint64 pack, const guint32 *ids,
                         guint count, gint64 *blob, GError **error);
/* A blob that is there is made of these pieces from now on. */
gboolean pieces_recut_blob(Connection *writer, gint64 blob, const IngotDigest *digest, guint64 size, gint64 pack,
                           const guint32 *ids, guint count, GError **error);
