/* The agenda of upkeep, kept in the catalogue so that it survives restarts: when each job ended last, and where the
 * scrub that is under way stands. */
#pragma once

#include "server/storage/scrub.h"

typedef struct {
    gint64 collected, scrubbed; /* when each ended last, seconds since 1970; 0: never */
    ScrubPlace place;           /* where the scrub that is under way goes on */
    ScrubReport so_far;         /* what it has found */
} Agenda;

/* All zero where nothing is kept, or where it can't be read. */
void agenda_read(Storage *storage, Agenda *agenda);
gboolean agenda_write(Storage *storage, const Agenda *agenda, GError **error);
