/* Where a build stops for a person: how to get into the machine, and what to do next. */
#pragma once

#include "walk/walk.h"

/* Prints how to get into the machine by ssh and where its console is. */
void pause_show(const Machine *machine, const GuestKey *key, IngotProgress *progress);

/* --debug: waits for Enter before a step. FALSE only when interrupted. */
gboolean pause_before(const char *title, const Machine *machine, const GuestKey *key, IngotProgress *progress,
                      GError **error);

/* After a failure: TRUE to try again, which a person is offered where can_retry is set. Keeps the machine up (until
 * Ctrl-C or its end) where that is asked for.
 */
gboolean pause_after_error(OnError mode, gboolean can_retry, const GError *failure, Machine *machine,
                           const GuestKey *key, IngotProgress *progress);
