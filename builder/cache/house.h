/* How much the cache takes. A file that several names lead to counts once. */
#pragma once

#include <glib.h>

typedef struct {
    guint nodes;     /* how many */
    guint64 layers;  /* bytes on the disk: of all nodes' layers, */
    guint64 memory;  /* their machines' memory, */
    guint64 sources; /* downloads and base disks, */
    guint64 records; /* and the small files */
    guint64 limit;   /* bytes that it may take in all */
} HouseUse;

/* $INGOT_CACHE_SIZE, else 20 GB or a tenth of the file system, whichever is less, in bytes. An $INGOT_CACHE_SIZE that
 * is not a size is INVALID. */
gboolean house_limit(const char *cache, guint64 *limit, GError **error);
gboolean house_measure(const char *cache, HouseUse *use, GError **error);

/* When a node was used last (seconds since 1970), and what it takes on the disk, memory apart from the rest. */
typedef struct {
    gint64 used;
    guint64 layer, memory;
} HouseNode;
HouseNode house_node(const char *folder);
