/* Reading ahead: how much of what is far is asked for at once.
 *
 * Each request to another machine costs a round trip, and may be counted there: an answer asks for more than its client
 * takes at once, and holds it until then. Invariant: all together hold at most AHEAD_MAX bytes, each no more than its
 * share of them. Thread safe. */
#pragma once

#include <glib.h>

#define AHEAD_MAX (64u << 20) /* bytes */
#define AHEAD_ONE (1u << 20)  /* for one answer */

/* Bytes that may be held, `most` at most (end them by ahead_end), where there are so many answers. 0: no more than
 * `least`, which do not count. */
gsize ahead_begin(gsize least, guint64 most, guint answers);
void ahead_end(gsize bytes);
