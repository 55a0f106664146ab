/* A walk through a pack: each of its segments that is whole, past whatever is damaged.
 *
 * Segments stand one after another, each as long as its head says. Where one is damaged, the walk goes on where its
 * head says that it ends, if a segment begins there; else it looks for the next place where a whole one stands.
 * Invariant: what is behind a damaged place is given out as loose. Its table is whole, yet it may be the content of a
 * blob that only looks like a segment: nothing that it claims is true before it has been checked against the bytes. */
#pragma once

#include "server/packs/segment.h"

typedef struct {
    gint64 pack;
    guint64 at; /* where it begins */
    gboolean loose;
} WalkPlace;
/* FALSE with an error: the walk ends. */
typedef gboolean (*WalkTake)(const Table *table, const WalkPlace *place, gpointer user, GError **error);
/* Between two offsets nothing whole stands. */
typedef void (*WalkMiss)(const Pack *pack, guint64 from, guint64 to, const char *why, gpointer user);

/* The first `size` bytes of the pack. *end (may be NULL): where the last whole segment ends; 0: there is none. */
gboolean pack_walk(const Pack *pack, guint64 size, WalkTake take, WalkMiss miss, gpointer user, guint64 *end,
                   GError **error);
