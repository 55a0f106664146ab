/* Wrong passwords are slowed, by two counts that nobody else's failures touch:
 *
 * - A user from one network (network.h): after a wrong password a second, then twice as long each time, a minute at
 *   most. A right one clears it.
 * - A user from wherever it is tried: the same, but the first THROTTLE_FREE failures are free. A right password does
 *   not clear it, since whoever guesses from elsewhere would gain by that. A network from which the user logged in
 *   within a day does not wait for it: guessers lock nobody out of where they work.
 *
 * Some minutes without a failure clear both. A name counts whether or not there is such a user. Memory is bounded:
 * beyond THROTTLE_MAX counts, those whose wait ends first are forgotten. Thread safe. */
#pragma once

#include <glib.h>

#define THROTTLE_MAX 4096
#define THROTTLE_FREE 10

typedef struct Throttle Throttle;
Throttle *throttle_new(void);
void throttle_free(Throttle *throttle);

/* Seconds that are left to wait (0: none) before a password of that user is looked at. now: monotonic, microseconds. */
guint throttle_wait(Throttle *throttle, const char *user, guint64 network, gint64 now);
/* The password was wrong, or right. */
void throttle_fail(Throttle *throttle, const char *user, guint64 network, gint64 now);
void throttle_succeed(Throttle *throttle, const char *user, guint64 network, gint64 now);
/* Counts that are remembered. */
guint throttle_size(Throttle *throttle);
