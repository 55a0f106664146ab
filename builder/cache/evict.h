/* Eviction: what goes where the cache takes too much, or what nobody has used for long.
 *
 * What can go is a node that no other stands on, a disk of a source that a newer one has replaced and that no node
 * stands on, and a source that no node stands on. Disks that were replaced go first, then nodes on such disks, which no
 * plan goes on from; of the rest, the least recently used first. A pinned node and what a running build uses never go.
 * All is measured once; sizes of files with several names are counted when the last name goes. */
#pragma once

#include <glib.h>

typedef struct {
    guint64 most;  /* bytes that may stay: nothing goes below that */
    gint64 before; /* only what was used last before that goes: seconds since 1970; 0: whenever */
    gboolean dry;  /* nothing is removed, only listed */
} EvictRule;

typedef enum { EVICT_REPLACED, EVICT_USELESS, EVICT_UNUSED } EvictWhy;

typedef struct {
    char *path;    /* of the node's folder, the disk, the source */
    char *what;    /* "the machine after 'install' of web" */
    guint64 bytes; /* that it frees */
    gint64 used;   /* when it was used last: seconds since 1970 */
    EvictWhy why;
} Evicted;

/* Sweeps first (unless dry). GPtrArray of Evicted in the order in which they went. */
GPtrArray *evict(const char *cache, const EvictRule *rule, GError **error);
guint64 evict_bytes(const GPtrArray *evicted); /* of all of them */
const char *evict_why(EvictWhy why);           /* "least recently used" */
