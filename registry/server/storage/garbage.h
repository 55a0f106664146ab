/* What the files of a collection share: collect.c goes through it, retention.c and compact.c are steps of it. */
#pragma once

#include "server/storage/collect.h"
#include "server/storage/inside.h"

typedef struct {
    Change change; /* of the steps that let go of names */
    const CollectOptions *options;
    CollectReport *report;
} Collection;

void collection_tell(const Collection *collection, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Within the collection's change. */
gboolean retention_apply(Collection *collection, GError **error);
/* Removes packs that hold nothing, writes those anew that are mostly dead, or many small ones as one. */
gboolean compact_packs(Storage *storage, Collection *collection, GError **error);
