/* A node: what a build keeps after one stage, so that a later one goes on from there.
 *
 * CACHE/nodes/NAME/ holds the disk's layer (disk.qcow2, over the layer of the node below or over the source), those of
 * further disks (disk-1.qcow2, …, each over the one of the same name in the node below), the
 * machine's memory (memory.zst, where it was kept), its firmware's variables, and node.json, which tells all about
 * them. What of that lies in the cache is named from within it (place.h). node.json comes last, by rename, after all
 * else is on the disk: a folder without one is not a node. Nothing of a node changes after that, but for its lock
 * file's time, which says when it was used last, and the empty file `pinned`, with which it is never evicted. The
 * folder may be read by its owner alone, since a machine's memory holds whatever the steps have seen. */
#pragma once

#include <ingot/digest.h>

#include "base/json.h"

#define NODE_DISK "disk.qcow2"
#define NODE_DISK_N "disk-%u.qcow2" /* further ones, from 1 */
#define NODE_MEMORY "memory.zst"
#define NODE_LOCK "lock"
#define NODE_PIN "pinned"
#define NODE_RECORD "node.json"

/* One run of one stage, on the way to the node. */
typedef struct {
    IngotDigest key;
    char *id;       /* of this very run */
    char *title;    /* of the stage */
    gint64 ran;     /* when it ended, seconds since 1970 */
    double seconds; /* that it took */
    json_t *made;   /* the host's files that it made: see made.h; NULL: none */
} NodeRun;
void node_run_free(gpointer run);
NodeRun *node_run_copy(const NodeRun *run);

typedef struct {
    char *folder;      /* absolute */
    char *below;       /* name of the node whose layer this one's stands on; NULL: the source's disk */
    char *source;      /* path of the source's disk */
    char *recipe;      /* name of the recipe that it was made for first */
    GPtrArray *runs;   /* of NodeRun: every stage that ran on the way, this one last */
    char *fingerprint; /* of the machine (state.h); NULL: no memory is kept */
    gboolean clean;    /* the disk's file systems need no recovery: the machine was shut down */
    gboolean secret;   /* a stage on the way has used one, or a login of the session or of a proxy */
    json_t *files;     /* {name: checksum} */
    gboolean whole;    /* set by nodes_list: all that it stands on is there now */
} Node;

Node *node_new(void);
void node_free(Node *node);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Node, node_free)

const char *node_name(const Node *node);                                /* of its folder */
const NodeRun *node_find_run(const Node *node, const IngotDigest *key); /* NULL: it has none, or node is NULL */
const NodeRun *node_run(const Node *node);                              /* its own, the last one */
char *node_file(const Node *node, const char *name);                    /* path of one of its files; free it */
gboolean node_pinned(const Node *node);                                 /* never evicted */

/* What node.json says. NOT_FOUND: the folder is not a node; TOO_NEW: another Ingot's. */
Node *node_read(const char *folder, GError **error);
/* The same from and to the record alone, as a registry keeps it; what names it in errors. */
Node *node_parse(const json_t *record, const char *what, GError **error);
/* Every run, or an error: a node that cannot be described whole is not kept. */
json_t *node_describe(const Node *node, GError **error);
/* Fsyncs and checksums every file of files (whose names are set), and writes node.json. */
gboolean node_publish(Node *node, GError **error);
/* CORRUPT where a file is not what node.json says. The memory is left out: memory_load checks it. */
gboolean node_verify(const Node *node, GError **error);
