/* Given up: names whose bytes a rebuild did not find. The log of events has them, and behind them the event that gave
 * each of them up, so that a later rebuild has the name again once its bytes are back.
 *
 * Invariant: a log that begins anew tells of them as the one before it did. A checkpoint of the catalogue alone would
 * forget them: the bytes would come back without a name, and be garbage. */
#pragma once

#include "server/events/checkpoint.h"
#include "server/storage/replay.h"

/* Adds to a checkpoint, before what the catalogue has, what a replay that was read anew and has been compared has given
 * up. What is told of it is read from the first `end` bytes of the log (G_MAXUINT64: all, past a damaged checkpoint).
 */
gboolean givenup_picture(const char *log, guint64 end, const Replay *lost, Checkpoint *checkpoint, GError **error);
