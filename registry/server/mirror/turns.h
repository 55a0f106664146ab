/* Turns: who reads straight from an upstream, in a thread that the readers of all upstreams share.
 *
 * Invariants: one upstream has at most two thirds of the threads that there are for that, a second one two thirds of
 * what is left, and so on: however many read from one that is slow, another has threads at once. Of one upstream's
 * readers those go first, about, who came first. Thread safe. */
#pragma once

#include <glib.h>

#define TURNS_MOST 48u /* of the 64 threads of POOL_FAR (flow.c): the others give what has come already */

typedef struct Turns Turns;
/* Of one upstream. */
Turns *turns_new(void);
void turns_free(Turns *turns);

/* Whether it is the reader's turn, which ends by turns_end; else it stands in line, and asks again in a moment. */
gboolean turns_begin(Turns *turns, gpointer reader);
void turns_end(Turns *turns);
/* The reader asks no more. */
void turns_leave(Turns *turns, gpointer reader);
