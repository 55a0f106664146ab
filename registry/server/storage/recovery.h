/* What the files of a rebuild share: rebuild.c goes through it; salvage.c and redo.c are its two halves. All that is
 * made is one change of a catalogue that nobody reads yet. */
#pragma once

#include "server/storage/inside.h"
#include "server/storage/rebuild.h"
#include "server/storage/replay.h"

typedef struct {
    Storage *storage;
    Change change;
    const RebuildOptions *options;
    RebuildReport *report;
    Replay *replay;       /* of the log, beside what is made of it */
    GPtrArray *tail;      /* of text: what is damaged behind the last whole event; it may never have been committed */
    EventMark witness;    /* the last event that the catalogue knows which is replaced */
    gboolean witnessed;   /* it could be read */
    gboolean no_picture;  /* the checkpoint that the log begins with is damaged */
    gboolean no_log;      /* there is none */
    gboolean lacks;       /* something that the log knows, whether or not an earlier rebuild has given it up */
    GHashTable *doubtful; /* set of gint64: packs a part of which can't be read, or is not believed */
    GHashTable *bereft;   /* set of names: repositories that lack a manifest which the log knows */
} Rebuild;

/* Not all that stands in the pack could be taken. */
void rebuild_doubts(Rebuild *rebuild, gint64 pack);
/* Something that could not be had again. */
void rebuild_lost(Rebuild *rebuild, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* The packs, pieces and blobs, by what the packs tell themselves. A piece that is damaged, or is nowhere, is there as
 * damaged: what needs it keeps its name, and a push mends it, or a rebuild once its pack is back. */
gboolean salvage_packs(Rebuild *rebuild, GError **error);
/* Names what needs damaged pieces, once all names are there. */
gboolean salvage_name_damage(Rebuild *rebuild, GError **error);

/* Once that is done: damaged garbage goes, and where something is lost, what nothing leads to is spared. */
gboolean rebuild_spare(Rebuild *rebuild, GError **error);

/* The repositories, manifests and tags, by what the log of events tells. */
gboolean redo_events(Rebuild *rebuild, GError **error);
