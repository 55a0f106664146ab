/* Nodes in a registry, so that a fresh machine starts warm.
 *
 * A node is one manifest under the tag KEY (the stage's key in hex): an Ingot image of its whole disk, in the same
 * chunks as every image, so that most of it is there already, whose config says under "node" what node.json says; and
 * as further layers, titled with their names, the node's other files: the machine's memory, its firmware's variables.
 * So disk and memory never come from different runs. A pull asks for the tag once and takes everything by what that
 * manifest names; the bytes are checked by SHA-256, and the files against the checksums of the record besides. Nothing
 * else of a node that its runs led to its key can be checked: so nodes come only from where the user has named. */
#pragma once

#include <ingot/store.h>

#include "cache/node.h"
#include "plan/plan.h"

#define INGOT_TYPE_MEMORY "application/vnd.ingot.memory.v1+zstd"
#define INGOT_TYPE_VARIABLES "application/vnd.ingot.firmware-variables.v1"

typedef struct {
    IngotStore *store; /* passing through it, by its chunks */
    const char *cache;
    const char *workdir;
    const IngotReference *where; /* HOST/NAME */
    gboolean *answered;          /* set once the registry has answered; may be NULL */
    IngotProgress *progress;
} Share;

typedef enum {
    SHARE_FAILED, /* an error is set */
    SHARE_NONE,   /* nothing to do: see below */
    SHARE_DONE,
    SHARE_DAMAGED, /* an error is set: the node that was to be pushed is not what its record says */
} ShareState;

/* Pushes a node of the plan, which is verified and held meanwhile, with all below it. NONE: the registry has one of its
 * key that ran as late or later, and that is not too old, so that nothing here was looked at; or the node was evicted
 * meanwhile. Of several that push at once the last one wins, whole. */
ShareState share_push(const Share *share, const Plan *plan, const Node *node, GError **error);
/* Fetches the node of a stage into the cache. NONE: there is none there, it is too old, it is of a machine of
 * another fingerprint, or the cache knows a newer run of a stage on its way (one that was refreshed here, say). source:
 * the disk that the plan stands on here. */
ShareState share_pull(const Share *share, const Recipe *recipe, const Plan *plan, guint stage, const char *source,
                      const char *fingerprint, GError **error);
