/* The part of a scrub that compares what is written twice: the catalogue with itself, with the log of events, and with
 * the tables of the packs. */
#pragma once

#include "server/storage/inside.h"
#include "server/storage/scrub.h"

typedef struct {
    Storage *storage;
    const ScrubOptions *options;
    ScrubReport *report;
    gint64 began; /* monotonic, microseconds */
} Scrub;

void scrub_tell(Scrub *scrub, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Counts bytes that were read and waits where that was too fast; FALSE: it is to end. */
gboolean scrub_goes_on(Scrub *scrub, guint64 bytes, GError **error);

/* Both add to the report what does not agree; FALSE only where they can't go on. */
gboolean audit_catalogue(Scrub *scrub, Connection *reader, GError **error);
gboolean audit_pack(Scrub *scrub, Connection *reader, gint64 number, GError **error);
