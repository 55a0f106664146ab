/* What the files of a collection share: collect.c goes through it; survey.c, release.c and compact.c are steps of it.
 */
#pragma once

#include "server/storage/collect.h"
#include "server/storage/inside.h"

typedef struct {
    Storage *storage;
    const CollectOptions *options;
    CollectReport *report;
    Change change; /* of the batch that is under way */
    gboolean changing;
    guint done;          /* steps of the batch */
    GHashTable *evicted; /* what goes for want of room (evict.h); NULL: nothing */
} Collection;

void collection_tell(const Collection *collection, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* INTERRUPTED where the collection is to end. */
gboolean collection_goes_on(const Collection *collection, GError **error);
/* Before each step that changes something: a change is open then, a new one where the batch was full. */
gboolean collection_change(Collection *collection, GError **error);
/* Ends the batch that is open, if one is: commits where ok is TRUE. Whether all went well. */
gboolean collection_commit(Collection *collection, gboolean ok, GError **error);

/* Removes packs that hold nothing, writes those anew that are mostly dead, or many small ones as one. */
gboolean compact_packs(Collection *collection, GError **error);
