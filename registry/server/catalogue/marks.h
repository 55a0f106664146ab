/* Death marks: pieces that no blob had when a collection of garbage looked, each with the epoch of its mark (leases.h).
 *
 * Invariants: a change that comes to count on a piece takes its mark away; an upload that finds a marked piece counts
 * it as missing. So a piece that is marked, and that no blob has in a state read after the mark, can be needed only by
 * an upload, or by readers (storage/readers.h), whose lease is older than the mark. */
#pragma once

#include "server/catalogue/piecebits.h"

typedef struct {
    gint64 piece;
    guint32 length; /* bytes */
    gint64 mark;    /* epoch; 0: it is not marked */
} Dead;

/* A bit for each piece that a blob has, but those of `without` (set of IngotDigest; NULL: none), and for those that are
 * spared (spared.h). Free it. */
GByteArray *marks_needed(Connection *connection, GHashTable *without, GError **error);
static inline gboolean marks_is_needed(const GByteArray *needed, gint64 piece)
{
    /* What is beyond the bits came later. */
    return piecebits_has(needed, piece, TRUE);
}
/* GArray of Dead: the pieces that have a mark, or those that have none and are not needed. Free it. */
GArray *marks_list(Connection *connection, GError **error);
GArray *marks_unneeded(Connection *connection, const GByteArray *needed, GError **error);

/* Whether a piece has a mark that is no later than that. */
gboolean marks_any(Connection *connection, gint64 mark, gboolean *any, GError **error);

gboolean marks_set(Connection *writer, gint64 piece, gint64 mark, GError **error);
/* Both only where the mark is still this one. */
gboolean marks_clear(Connection *writer, const Dead *dead, GError **error);
gboolean marks_delete(Connection *writer, const Dead *dead, gboolean *deleted, GError **error);
/* Deletes the pieces that are not needed and have no place (pieces.h). */
gboolean marks_drop_placeless(Connection *writer, const GByteArray *needed, GError **error);
