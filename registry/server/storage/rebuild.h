/* Rebuilding: a catalogue made again from the packs and the log of names, when it is lost or damaged. */
#pragma once

#include "server/storage/storage.h"

typedef struct {
    guint64 packs, pieces, blobs;
    guint64 repositories, manifests, tags;
    guint64 lost; /* segments, lines, and blobs of repositories that could not be had again */
} RebuildReport;

/* Nobody may serve the folder meanwhile (EXISTS). What was there of a catalogue is kept beside it, with the ending
 * ".old". tell (may be NULL) hears of each thing that is lost. */
gboolean storage_rebuild(const char *path, void (*tell)(const char *line, gpointer user), gpointer user,
                         RebuildReport *report, GError **error);
