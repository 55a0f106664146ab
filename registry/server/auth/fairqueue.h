/* A queue in which nobody waits for another's crowd: the keys that have things in it take turns.
 *
 * Invariant: it never holds more than it may. What comes beyond that is turned away at the expense of the key that has
 * the most in it, which loses its youngest thing. Not thread safe: its owner locks. */
#pragma once

#include <glib.h>

typedef struct FairQueue FairQueue;
FairQueue *fairqueue_new(guint most);
/* It must be empty. */
void fairqueue_free(FairQueue *queue);

/* Puts a thing in; returns the one that is turned away for that: another, the same, or NULL. */
gpointer fairqueue_push(FairQueue *queue, guint64 key, gpointer thing);
/* The next one; NULL: there is none. */
gpointer fairqueue_pop(FairQueue *queue);
/* The next one that fits; NULL: there is none. */
gpointer fairqueue_take(FairQueue *queue, gboolean (*fits)(gpointer thing, gpointer user), gpointer user);
