/* All nodes of a cache: which of them a plan may go on from, who uses them, and which are worth nothing any more. */
#pragma once

#include "base/file.h"

#include "cache/node.h"
#include "plan/plan.h"

/* Every node: GPtrArray of Node. It only looks: nothing is removed. What is unfinished, cannot be read, or is a newer
 * Ingot's is passed over; a node of which something below is not there (its disk may be on a file system that is not
 * mounted) is listed, but is not `whole`, and no plan goes on from it. */
GPtrArray *nodes_list(const char *cache, GError **error);
/* Removes what ended builds left unfinished, what cannot be read, and nodes whose layer below, or whose disk in the
 * cache, is gone for good: not only unmounted with the whole folder for sources. What is in use stays. */
gboolean nodes_sweep(const char *cache, GError **error);
/* Whether one of the nodes stands on the disk at path, or on one in the folder at path. */
gboolean nodes_any_on(const GPtrArray *nodes, const char *path);

/* The deepest node that the plan may go on from, or NULL: borrowed from nodes. A stage that ran longer ago than it may
 * rules out all nodes that it led to, as does a file of the host that a stage made and that is gone or another one; of
 * several runs of one stage only the newest counts. source: path of the disk that they must stand on; NULL: whichever.
 * refresh: the first stage that is to be run again; -1: none. now: seconds since 1970. */
const Node *nodes_best(const GPtrArray *nodes, const Plan *plan, const char *source, int refresh, gint64 now);
/* The newest node of that very stage, however old, or NULL. */
const Node *nodes_newest(const GPtrArray *nodes, const PlanStage *stage);
/* Why the outcome of that run of the stage may not stand any more, or NULL. Free it. */
char *nodes_why_stale(const PlanStage *stage, const NodeRun *run, gint64 now);

/* Whether one of the nodes, whole or not, holds another run of a stage that led to the node, and one that ended no
 * earlier: then no plan that sees them both goes on from the node. */
gboolean nodes_supersede(const GPtrArray *nodes, const Node *node);
/* Whether every stage that led to the node may still stand. */
gboolean nodes_fresh(const Node *node, const Plan *plan, gint64 now);

/* Whether a node stands on that disk of a source, or that can't be told. */
gboolean nodes_stand_on(const char *cache, const char *disk);

/* A node in use, with all nodes below it: they stay as long as it is held. */
typedef struct NodeHold NodeHold;
/* NOT_FOUND where one of them is not there any more, CORRUPT where one is damaged. It counts as used now. */
NodeHold *nodes_hold(const char *cache, const Node *node, GError **error);
void nodes_release(NodeHold *hold);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NodeHold, nodes_release)
/* Removes the node in a folder unless a build holds it: FALSE then. Those above it are removed by the next nodes_sweep.
 */
gboolean nodes_remove(const char *folder);
/* Whether eviction passes the node over, with all below it. */
gboolean nodes_pin(const Node *node, gboolean pinned, GError **error);

/* The turn to run a stage: builds that need the same one wait for each other, and find it done. NULL without an error:
 * another build has it. */
IngotLock *nodes_turn(const char *cache, const IngotDigest *key, GError **error);
/* The cache's own word, made at random when it is first needed: see plan.h. It is only read where it is there; one that
 * cannot be kept holds for this build, and the next one runs the steps with secrets again. Free it. */
char *nodes_salt(const char *cache, GError **error);
/* The same for whoever only looks: where the cache has none, nothing is kept of a step with secrets, and any word will
 * do. Free it. */
char *nodes_look_salt(const char *cache, GError **error);
/* One that no cache has, for a build that uses none. Free it. */
char *nodes_random_salt(GError **error);
/* CACHE/nodes, made where it is missing. Free it. */
char *nodes_folder(const char *cache, GError **error);
