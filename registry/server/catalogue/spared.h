/* Spared: what a rebuild that lost something has found, and nothing leads to: pieces that no blob has, packs a part of
 * which can't be read or is not believed, repositories that lost a manifest. It may be what a lost name led to, or what
 * a pack that is away for a while counts on, so collections leave it alone until a time.
 *
 * Invariant: what is listed is there. Once its time is over, it is struck off before it may go. */
#pragma once

#include "server/catalogue/database.h"

gboolean spared_add_piece(Connection *writer, gint64 piece, gint64 until, GError **error);
gboolean spared_add_pack(Connection *writer, gint64 pack, gint64 until, GError **error);
/* What such a repository has, some manifest may need that is lost. */
gboolean spared_add_repository(Connection *writer, gint64 repository, gint64 until, GError **error);
gboolean spared_has_repository(Connection *connection, gint64 repository, gboolean *spared, GError **error);
/* Strikes off what is not spared any more. */
gboolean spared_lapse(Connection *writer, gint64 now, GError **error);
/* Adds the pieces to a set (piecebits.h). */
gboolean spared_pieces(Connection *connection, GByteArray *bits, GError **error);
