/* Pace: how far away a registry is and how much comes from it, found out while ranges are fetched; and what follows for
 * the requests: how many at once, and how much that is not needed is better fetched along than asked for around.
 *
 * The numbers are guesses: they decide what a fetch costs, never what it gives. Pure functions, but for the clock that
 * is passed to them. */
#pragma once

#include <glib.h>

#define PACE_CONNECTIONS_MAX 16u

typedef struct {
    gint64 latency; /* microseconds from a request to the first byte of its answer, the shortest; 0: not known */
    guint64 rate;   /* bytes a second of all connections together, the highest */
    gint64 since;   /* when this measure of the rate began; 0: it has not */
    guint64 come;   /* bytes since then */
} Pace;

/* An answer began so long (microseconds) after its request. */
void pace_answered(Pace *pace, gint64 usec);
/* Bytes came; now: monotonic. */
void pace_came(Pace *pace, gint64 now, gsize bytes);
/* Bytes between two ranges that take no longer to come than another request would. */
guint64 pace_gap(const Pace *pace);
/* Whether one more connection brings more, where so many are busy and wait for so many bytes. */
gboolean pace_wants_more(const Pace *pace, guint busy, guint64 outstanding);
