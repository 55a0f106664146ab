/* What a build of a recipe would do: its plan, what of it is kept, and the image of it that is there. */
#pragma once

#include "bake/bake.h"
#include "cache/history.h"
#include "cache/node.h"
#include "graph/graph.h"

typedef struct {
    Plan *plan;       /* NULL: what the recipe is based on has to be built first */
    GPtrArray *nodes; /* all of the cache */
    const Node *best; /* what the build would go on from, or NULL; in nodes */
    History *history; /* may be NULL */
    SourceLook source;
    gboolean image; /* an image of this very plan is in the store: nothing has to be done */
    IngotDescriptor manifest;
} Prospect;

/* Looks at the recipes that it is based on too. options need store, cache and accel. */
Prospect *prospect_new(const GraphRecipe *one, const BakeOptions *options, GError **error);
void prospect_free(Prospect *prospect);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Prospect, prospect_free)

/* Whether the stage would be taken from the cache. */
gboolean prospect_stands(const Prospect *prospect, guint stage);
/* Its run that stands, or, of one that would be run again, the last one that is kept; or NULL. */
const NodeRun *prospect_run(const Prospect *prospect, guint stage);
/* Why it would be run. Free it. */
char *prospect_why(const Prospect *prospect, guint stage);
