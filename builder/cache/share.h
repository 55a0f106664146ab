/* Nodes in a registry, so that a fresh machine starts warm.
 *
 * A node is an Ingot image of its own under the tag KEY (the stage's key in hex): its whole disk, in the same chunks as
 * every image, so that most of it is there already; its config says under "node" what node.json says. The machine's
 * memory is a blob of a second manifest, tagged KEY.memory. Nothing of a node is taken on trust but that its runs led
 * to its key: so nodes come only from where the user has named, and their bytes are checked by SHA-256. */
#pragma once

#include <ingot/store.h>

#include "cache/node.h"
#include "plan/plan.h"

#define INGOT_TYPE_MEMORY "application/vnd.ingot.memory.v1+zstd"

typedef struct {
    IngotStore *store; /* passing through it, by its chunks */
    const char *cache;
    const char *workdir;
    const IngotReference *where; /* HOST/NAME */
    IngotProgress *progress;
} Share;

/* Pushes a node unless the registry has one of its key. *pushed (may be NULL) tells. */
gboolean share_push(const Share *share, const Node *node, gboolean *pushed, GError **error);
/* Fetches the node of a stage into the cache. FALSE without an error: there is none there, it is too old, or it is of a
 * machine of another fingerprint. source: the disk that the plan stands on here. */
gboolean share_pull(const Share *share, const Recipe *recipe, const Plan *plan, guint stage, const char *source,
                    const char *fingerprint, GError **error);
