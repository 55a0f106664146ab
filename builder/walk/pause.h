/* Where a build stops for a person: how to get into the machine, and what to do next. */
#pragma once

#include "walk/walk.h"

/* The machine, and what is said of it. */
typedef struct {
    Machine *machine;
    const GuestKey *key;
    const char *recipe; /* its path */
    IngotProgress *progress;
} Pause;

/* Prints how to get into the machine by ssh, or what is left where that lets nobody in, and where its console is. */
void pause_show(const Pause *pause);

/* --debug: waits for Enter before a step. FALSE only when interrupted. */
gboolean pause_before(const Pause *pause, const char *title, GError **error);

/* After a failure: TRUE to try again, which a person is offered where can_retry is set. Keeps the machine up (until
 * Ctrl-C or its end) where that is asked for.
 */
gboolean pause_after_error(const Pause *pause, OnError mode, gboolean can_retry, const GError *failure);
