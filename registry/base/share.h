/* Shares: how much of a room that clients fill together those of one network may have.
 *
 * A network has a quarter of the room, or one thing that is larger, and never more than three quarters of what the
 * others leave: the more networks there are, the less each gets, and however large the things are that some of them
 * hold, there is room left for another one. */
#pragma once

#include <glib.h>

#define SHARE_OF(bytes) ((gsize)(bytes) / 4 * 3) /* what one network may have, at most, of so many that are free */
#define SHARE_ROOM_FOR(bytes) (((gsize)(bytes) + 2) / 3 * 4) /* the least room for a thing of that size */

/* most: the room; all: what is held of it, theirs: of that by the network (network 0: clients that can't be told apart,
 * for whom the whole alone counts). alone: it would hold nothing but the one thing of which `more` is (a part). */
static inline gboolean share_allows(gsize most, gsize all, guint64 network, gsize theirs, gsize more, gboolean alone)
{
    return all + more <= most &&
           (network == 0 || (theirs + more <= SHARE_OF(most - (all - theirs)) && (alone || theirs + more <= most / 4)));
}
