/* A node in the making: a folder of the cache that no other build takes for a node, or sweeps, while this one runs.
 *
 * Its disks lie there from the start, so that nothing is copied when it becomes a node; only where the cache is on
 * another file system than the work folder do they lie in the latter and are copied. */
#pragma once

#include "base/file.h"

#include "cache/node.h"

typedef struct NodeDraft NodeDraft;
/* INVALID: the cache's path, or the work folder's, is not UTF-8; nothing can be kept there. */
NodeDraft *draft_new(const char *cache, const char *workdir, GError **error);
/* Removes what did not become a node. */
void draft_free(NodeDraft *draft);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NodeDraft, draft_free)

/* Path of a disk's layer, for NODE_DISK or another name, which becomes a file of the node; it is not there yet. Free
 * it.
 */
char *draft_layer(NodeDraft *draft, const char *name);
/* How a layer at that path names what it stands on (absolute), so that the cache may be moved (place.h); free it. */
char *draft_backing(const NodeDraft *draft, const char *layer, const char *below);
const char *draft_name(const NodeDraft *draft);             /* the node's, once it is one */
char *draft_file(const NodeDraft *draft, const char *name); /* path; free it */

/* Makes it a node: node has all but its folder and its files' checksums. The layers, and what is named in node->files,
 * are not written any more. */
gboolean draft_publish(NodeDraft *draft, Node *node, GError **error);
