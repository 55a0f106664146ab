/* Things that take long to make, kept for the next who needs one. Thread safe. */
#pragma once

#include <glib.h>

#define IDLE_MAX 16u /* that are kept; who gives back one more loses the one that was idle longest */

typedef struct {
    GMutex lock;
    GQueue things; /* the last used first */
    GDestroyNotify free;
} Idle;

#define IDLE_INIT(free_thing)                                                                                          \
    {                                                                                                                  \
        .things = G_QUEUE_INIT, .free = (free_thing)                                                                   \
    }

typedef gboolean (*IdleFits)(gconstpointer thing, gconstpointer wanted);

/* The caller's until it is given back; NULL: there is none. Of those that fit, the last used; fits NULL: of all, the
 * one that was idle longest. */
gpointer idle_take(Idle *idle, IdleFits fits, gconstpointer wanted);
void idle_give(Idle *idle, gpointer thing);
/* Frees what is kept. */
void idle_clear(Idle *idle);
