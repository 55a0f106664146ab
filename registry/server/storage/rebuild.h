/* Rebuilding: a catalogue made again from the packs and the log of events, when it is lost or damaged.
 *
 * It reads both and cuts neither. It goes on past whatever is damaged, reads and hashes every piece, and names what is
 * lost. What it had to give up is noted in the log by events of its own; a later rebuild has it again if it can. It can
 * be killed anywhere and begun again.
 *
 * Where something is lost, a blob that no name leads to may be what a lost name led to: it goes to the repository
 * LOST_FOUND, where no client reaches it, and collections leave it there for LOST_GRACE. For as long they spare pieces
 * without a blob, packs a part of which was left out, and repositories that lost a manifest: what is away may come
 * back, and count on them. */
#pragma once

#include "server/storage/storage.h"

#define LOST_FOUND "lost+found"                /* no name that a client may use */
#define LOST_GRACE G_GUINT64_CONSTANT(2592000) /* seconds: 30 days */

typedef struct {
    void (*tell)(const char *line, gpointer user);              /* of each thing that is lost; NULL: nobody */
    void (*progress)(guint64 done, guint64 all, gpointer user); /* bytes of packs, often; NULL: nobody */
    gpointer user;
    gboolean force; /* though the catalogue that is there is whole and knows more than the log */
} RebuildOptions;

typedef struct {
    guint64 packs, pieces, blobs;
    guint64 repositories, manifests, tags;
    guint64 lost; /* segments, events and names that could not be had again, and names that need damaged pieces */
} RebuildReport;

/* Begins the log of events anew with a checkpoint of what the catalogue has, where the log is damaged and the catalogue
 * is not (CORRUPT); the log that is there is kept. *number: of the last event. CORRUPT too where the log has events
 * that the catalogue does not know, unless forced. Nobody may serve the folder meanwhile. */
gboolean storage_rebuild_events(const char *path, gboolean force, guint64 *number, GError **error);
/* Nobody may serve the folder meanwhile (EXISTS). CORRUPT: the log lacks what a whole catalogue knows. What was there
 * of a catalogue is kept beside it, with the ending
 * ".old". */
gboolean storage_rebuild(const char *path, const RebuildOptions *options, RebuildReport *report, GError **error);
