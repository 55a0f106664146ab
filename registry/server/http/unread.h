/* Answers that clients have not read: what is held for them in memory, within bounds.
 *
 * Invariant: at most UNREAD_MAX bytes are held, of which the clients of one network have a share (share.h): a few that
 * read slowly take no room from the others. Bytes that several clients have not read yet count once, for the
 * whole and for each network. Short answers are always given. Thread safe. */
#pragma once

#include "base/share.h"

#define UNREAD_LONGEST (64u << 20)                /* bytes of an answer */
#define UNREAD_MAX SHARE_ROOM_FOR(UNREAD_LONGEST) /* bytes */
#define UNREAD_SHORT 16384u                       /* bytes of an answer that does not count */

typedef struct Unread Unread;

/* network: the client's (network.h); 0: it can't be told from others, and only the whole has a bound. NULL: there is no
 * room. Holds a reference to the bytes. */
Unread *unread_begin(guint64 network, GBytes *bytes);
/* The room for an answer of that size, which is yet to be made; give it back when it is. NULL: there is none. */
Unread *unread_reserve(guint64 network, gsize size);
/* It was read, or its client has left. */
void unread_end(gpointer unread);
