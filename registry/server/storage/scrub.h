/* Scrubbing: everything that is stored is read again and compared with what it should be, at a bounded rate, while
 * others push and pull.
 *
 * Checked are each piece against its digest, each segment's table, the catalogue's own structure, and that the
 * catalogue tells of names and blobs what the log of events and the packs tell. A damaged piece is noted, so that the
 * next upload that brings it replaces it. */
#pragma once

#include "server/storage/storage.h"

/* A whole piece from elsewhere: `length` bytes at `offset` of a blob of a repository. NULL: it can't be had. */
typedef GBytes *(*ScrubFetch)(const char *name, const IngotDigest *blob, guint64 size, guint64 offset, guint32 length,
                              gpointer user);

/* Where a scrub stands: in the pack of that number, at that offset. Both 0: at its beginning. */
typedef struct {
    gint64 pack;
    guint64 offset;
} ScrubPlace;

typedef struct {
    guint64 rate;                                  /* bytes read in a second; 0: as fast as it goes */
    void (*tell)(const char *line, gpointer user); /* of each thing that is wrong; NULL: nobody listens */
    ScrubFetch fetch;                              /* to repair damaged pieces; NULL: they stay damaged */
    gpointer user;
    gboolean (*stop)(gpointer user); /* TRUE: give up (INTERRUPTED); NULL: never */
    guint64 slice;                   /* seconds after which it pauses; 0: it goes on to its end */
    ScrubPlace from; /* where it goes on; what has come into packs behind it is left for the next scrub */
} ScrubOptions;

typedef struct {
    guint64 pieces, bytes;   /* read */
    guint64 damaged;         /* pieces found damaged now or before, and not repaired */
    guint64 repaired;        /* pieces */
    guint64 inconsistencies; /* of tables, catalogue and log */
    ScrubPlace place;        /* where it paused; at the beginning: it came to its end */
} ScrubReport;

/* FALSE only where it could not go on; what is damaged is in the report. */
gboolean storage_scrub(Storage *storage, const ScrubOptions *options, ScrubReport *report, GError **error);
