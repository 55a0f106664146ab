/* Removal: what goes with a name that goes. All of it is called under the store's lock. */
#pragma once

#include "store/layout.h"

/* A name has left index.json, in memory: what it reached. Free it with collect_free. */
typedef struct {
    GHashTable *gone, *reached;
    guint unread;    /* rows without a name that were passed over */
    GError *problem; /* nothing may be removed */
} Collection;

/* Takes out of rows what was attached to the manifest that lost a name, where nothing else keeps it. */
void collect_begin(Collection *collection, IngotStore *store, json_t *rows, const IngotDigest *manifest);
/* Writes index.json. *again: there is no room for it until what is to go has gone, and then it is to be written. */
gboolean collect_write(IngotStore *store, const json_t *index, gboolean *again, GError **error);
/* Once index.json is written: removes what nothing reaches and nobody holds. The bytes that this frees. */
guint64 collect_finish(const Collection *collection, IngotStore *store);
void collect_clear(Collection *collection);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Collection, collect_clear)
