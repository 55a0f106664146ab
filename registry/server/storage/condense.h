/* Condensing: the log of events begins anew with a checkpoint (events/checkpoint.h), made of what the catalogue has,
 * and of what rebuilds gave up (givenup.h).
 *
 * The picture is made of a reader's state while others write; the catalogue's writer is held for the switch alone. The
 * log that was there before is kept for as long as the limits say. Invariant: a checkpoint is made only of a catalogue
 * whose rows are whole and which agrees with the log, or where the log itself is what is to be replaced. */
#pragma once

#include "server/storage/replay.h"

/* Where the log is long, and much longer than the picture it began with; *done: it was. Drops logs of before that are
 * older than they are kept. Without a limit (storage_limit) neither is done: nobody has said how. CORRUPT: the
 * catalogue and the log do not agree, which a scrub tells more of. */
gboolean condense_when_due(Storage *storage, gboolean *done, GError **error);
/* Begins the log anew within a change, whatever it looks like: the catalogue's event at the mark is the last. What the
 * change itself has logged comes behind it. lost: what it gives up (givenup.h); NULL: what the log that is there tells
 * of. Sets the catalogue's mark. */
gboolean condense_now(Change *change, const EventMark *last, const Replay *lost, GError **error);
