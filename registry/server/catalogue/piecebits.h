/* Sets of pieces, a bit for each id: what many blobs are made of, in little memory. */
#pragma once

#include "server/catalogue/database.h"

/* None of the pieces that there are; free it. */
GByteArray *piecebits_new(Connection *connection, GError **error);
/* Adds a blob's pieces, out of a column `pieces` of a row. */
void piecebits_add(GByteArray *bits, sqlite3_stmt *row, int column);
static inline void piecebits_set(GByteArray *bits, gint64 piece)
{
    if (piece / 8 < bits->len) {
        bits->data[piece / 8] |= (guint8)(1u << (piece % 8));
    }
}
/* beyond: the answer for a piece that came after the set was made. */
static inline gboolean piecebits_has(const GByteArray *bits, gint64 piece, gboolean beyond)
{
    return piece / 8 >= bits->len ? beyond : (bits->data[piece / 8] & (1u << (piece % 8))) != 0;
}

/* The pieces of the repositories that `may_see` allows; free it. */
typedef gboolean (*PiecebitsFilter)(const char *repository, gpointer user);
GByteArray *piecebits_seen(Connection *connection, PiecebitsFilter may_see, gpointer user, GError **error);
