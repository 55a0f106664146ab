/* A probe: something that many ask for and that takes a moment to work out, so that one works it out for all.
 *
 * Invariant: what is answered is true of a moment after the request came, or is no older than `fresh`; while somebody
 * is at it or on the way to it (which may hang with the disk), an answer that is no older than `stale` will do. So
 * however many ask, those who ask seldom are answered too. Thread safe. */
#pragma once

#include <glib.h>

typedef struct Probe Probe;

typedef struct {
    guint status; /* HTTP's */
    GBytes *text;
} ProbeAnswer;
void probe_answer_clear(ProbeAnswer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ProbeAnswer, probe_answer_clear)

/* Both in microseconds. */
Probe *probe_new(gint64 fresh, gint64 stale);
void probe_free(Probe *probe);

/* What memory has; never waits. FALSE: it has to be worked out, by the caller. */
gboolean probe_peek(Probe *probe, ProbeAnswer *answer);

/* Works it out: fills an empty answer. */
typedef void (*ProbeWork)(gpointer user, ProbeAnswer *answer);
/* Works it out, unless somebody began to after `since` (monotonic) and has ended. One caller at a time. */
void probe_ask(Probe *probe, gint64 since, ProbeWork work, gpointer user, ProbeAnswer *answer);
