/* Collecting garbage while others push and pull.
 *
 * Deleting only marks: a tag, a manifest or a blob of a repository is a row that goes. A collection first lets go of
 * tags that no policy keeps (keep.h), of manifests and blobs that nothing of their repository has needed for a while
 * (picture.h), of cached images where they take too much room (evict.h), and of blobs that no repository has; then it
 * marks the pieces of all that are left, deletes the others, and writes packs that are mostly dead anew. What an upload
 * counts on, or what came into use since the marking began, is never collected.
 *
 * Whatever is deleted is deleted in small batches, so that nobody waits long for the writer, and between two of them a
 * collection can be stopped: what it has done by then stays done. A dry run reads one state of the catalogue and writes
 * nothing but the pulls that were gathered by then, if it can. */
#pragma once

#include "server/storage/storage.h"

typedef struct {
    const GArray *keeps;    /* of Keep (keep.h); NULL: no policy */
    guint64 grace;          /* seconds for which a blob that no manifest needs stays: a push may be on its way */
    guint64 untagged_grace; /* seconds for which a manifest stays that nothing names, since it was used last */
    gboolean packs_only;    /* deletes nothing: packs alone are written anew, where that is worth it */
    gboolean held_only;     /* what earlier collections had to leave goes, and nothing else */
    gboolean dry_run;       /* says what would go, changes nothing */
    void (*tell)(const char *line, gpointer user); /* of each thing that goes; NULL: nobody listens */
    gpointer user;
    gboolean (*stop)(gpointer user); /* TRUE: give up (INTERRUPTED); NULL: never */
} CollectOptions;

typedef struct {
    guint64 tags;                 /* by policy */
    guint64 manifests;            /* that nothing named any more */
    guint64 links;                /* blobs that a repository had and needed no more */
    guint64 blobs, pieces, bytes; /* that nobody needs: bytes are the pieces' */
    guint64 held, held_bytes;     /* pieces that nobody needs, but pushes or other servers may: they stay for now */
    guint64 packs;                /* files removed, or written anew without what was dead */
    guint64 freed;                /* bytes by which the files shrank */
    guint64 skipped;              /* packs that could not be written anew: there was no room, or they are damaged */
} CollectReport;

/* EXISTS where a collection runs already. */
gboolean storage_collect(Storage *storage, const CollectOptions *options, CollectReport *report, GError **error);
/* Whether something that a collection had to leave can go: one with held_only is due. */
gboolean storage_sweep_is_due(Storage *storage, gboolean *due, GError **error);
/* Whether there are so many small packs that a collection of packs alone is due. */
gboolean storage_is_scattered(Storage *storage, gboolean *scattered, GError **error);
