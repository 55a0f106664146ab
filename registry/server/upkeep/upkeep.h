/* Upkeep: what a server does for its data folder besides serving: collects garbage and scrubs, each at its interval,
 * and when a verb asks for it (control.h); notes pulls.
 *
 * The intervals count over restarts, for the catalogue keeps when each job ended last. A scrub by the timer goes in
 * slices: it goes on where it stood, after a restart too, and garbage that is due meanwhile is collected. One
 * collection runs at a time, and one scrub beside it. What fails is tried again soon. */
#pragma once

#include "server/storage/storage.h"

typedef struct {
    guint64 collect_every, scrub_every; /* seconds; 0: only when asked */
    guint64 grace, untagged;            /* seconds: collect.h */
    char **keeps;                       /* policies; NULL: none */
    guint64 scrub_rate;                 /* bytes a second; 0: as fast as it goes */
    char *scrub_from;                   /* HOST[:PORT]; NULL: no repair */
} UpkeepOptions;

typedef struct Upkeep Upkeep;
/* options must stay until it is stopped. */
Upkeep *upkeep_start(Storage *storage, const char *data, const UpkeepOptions *options, GError **error);
/* Breaks off what runs. */
void upkeep_stop(Upkeep *upkeep);

/* What was done since the start. */
typedef struct {
    guint64 collections, collected_pieces, freed_bytes;
    guint64 scrubs, scrubbed_bytes, damaged, repaired, inconsistencies; /* the last three: of the last scrub */
    gint64 last_collection, last_scrub; /* when they ended, seconds since 1970; 0: never */
} UpkeepFigures;
void upkeep_figures(Upkeep *upkeep, UpkeepFigures *figures);
