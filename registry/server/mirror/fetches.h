/* Fetches: work that waits for another registry, done by threads of its own.
 *
 * Invariants: of one key one fetch runs at a time, and all who want it wait for that one, each as long as it likes: a
 * fetch goes on when nobody waits any more. That something is not there, or failed, is remembered for a while; that a
 * fetch was broken off is not. What a fetch works on is let go of when it ends. Thread safe. */
#pragma once

#include <glib.h>

typedef enum {
    FETCH_DONE,
    FETCH_ABSENT,  /* the other registry does not have it, or does not give it to us */
    FETCH_FAILED,  /* it can't be reached, or answers wrongly */
    FETCH_PENDING, /* it goes on: the time was not enough */
    FETCH_BUSY,    /* too many are running */
} FetchOutcome;

typedef struct Fetches Fetches;
/* remember: seconds; threads: how many run at once; most: with those that wait for a thread. */
Fetches *fetches_new(guint remember, guint threads, guint most);
/* Waits for what is running. */
void fetches_free(Fetches *fetches);

/* Whether one waits for a thread. */
gboolean fetches_crowded(Fetches *fetches);

/* What a fetch found, as text (free it), or NULL where there is nothing to be told. NULL and an error: it failed.
 * DENIED: the other registry refuses it; INTERRUPTED: it was broken off. */
typedef gboolean (*FetchFunc)(gpointer data, char **result, GError **error);
/* Hears of the data of the fetch that is waited for, one's own or another's, unless that has ended already. No lock may
 * be waited for. */
typedef void (*FetchJoin)(gpointer data, gpointer user);
/* Waits for `wait` microseconds, counted from when the fetch began, so that those who come late to one that hangs don't
 * wait again. data is freed with `free` in any case. *result (may be NULL) is yours. join may be NULL. */
FetchOutcome fetches_get(Fetches *fetches, const char *key, FetchFunc function, gpointer data, GDestroyNotify free,
                         gint64 wait, char **result, FetchJoin join, gpointer user);
