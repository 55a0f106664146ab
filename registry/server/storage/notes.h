/* Notes: what a reader finds out and the catalogue should know (damage, where a large blob's windows start), written by
 * a thread of its own, so that no reader waits for the writer.
 *
 * A note is only a saving or a warning: one that can't be written (a full disk) is dropped, and made again by the next
 * reader. Thread safe. */
#pragma once

#include "server/storage/storage.h"
#include "server/storage/window.h"

typedef struct Notes Notes;

Notes *notes_new(Storage *storage);
void notes_free(Notes *notes); /* writes what there is */

/* A piece that is not what its digest says. TRUE: nobody has noted it yet. */
gboolean notes_damage(Notes *notes, const Damage *damage);
/* A pack that is gone, with all of its pieces. */
void notes_lost(Notes *notes, gint64 pack);
void notes_starts(Notes *notes, const BlobMap *map);
/* Until all that was noted is written or dropped. Not within a change. */
void notes_wait(Notes *notes);
