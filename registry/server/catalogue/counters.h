/* Counters: how many pieces and blobs there are, and their bytes; how often pipelines have changed.
 *
 * Invariant: the counters are kept by the catalogue itself (triggers), in the transaction of each change, whoever makes
 * it. Reading them costs the same whatever there is. */
#pragma once

#include "server/catalogue/database.h"

typedef struct {
    guint64 pieces, damaged; /* how many */
    guint64 stored;          /* bytes of the pieces */
    guint64 blobs;
    guint64 logical; /* bytes of the blobs */
    guint64 packed;  /* bytes of the packs */
} Counters;

gboolean counters_read(Connection *reader, Counters *counters, GError **error);
/* How often pipelines were put or removed: those that were read are still the catalogue's while the number stays. */
gboolean counters_pipelines(Connection *reader, gint64 *changes, GError **error);
