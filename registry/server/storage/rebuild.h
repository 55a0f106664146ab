/* Rebuilding: a catalogue made again from the packs and the log of events, when it is lost or damaged.
 *
 * It reads both and cuts neither: what is damaged is left out and named, and what is lost with it is noted in the log
 * by events of its own. It can be killed anywhere and begun again. */
#pragma once

#include "server/storage/storage.h"

typedef struct {
    guint64 packs, pieces, blobs;
    guint64 repositories, manifests, tags;
    guint64 lost; /* segments, events and names that could not be had again */
} RebuildReport;

/* Nobody may serve the folder meanwhile (EXISTS). What was there of a catalogue is kept beside it, with the ending
 * ".old". tell (may be NULL) hears of each thing that is lost. */
gboolean storage_rebuild(const char *path, void (*tell)(const char *line, gpointer user), gpointer user,
                         RebuildReport *report, GError **error);
