/* Seeds: frames of a disk that is to be pulled which images of the store have already, replaced images among them, or
 * the disks of its own image that came before it.
 *
 * The chunks that are wanted are looked for in one index after another, each index once however many names its image
 * has, those of its own image first, then those of the same name, until all are found. Nothing is held open: a seed is
 * opened when it is used, and may be gone by then. What a seed gives is not trusted: an index may be wrong about its
 * disk. One that was is noted in the store, and while that disk is the same file its frames are to be looked at one by
 * one. */
#pragma once

#include <ingot/store.h>

typedef struct Seeds Seeds;

/* Where a frame is. */
typedef struct {
    guint source; /* 0: nowhere */
    guint32 length;
    guint64 offset;
} Seed;

/* A disk that is to be pulled. Those of its image that stand before it are in the store. */
typedef struct {
    const IngotManifest *image;
    guint number;
    IngotIndex *index; /* its own */
} SeedsWanted;

/* The frames of its chunks, but for those that `have` says (a byte for each chunk); name: of the image in the store. */
Seeds *seeds_find(IngotStore *store, const char *name, const SeedsWanted *wanted, const guint8 *have, GError **error);
void seeds_free(Seeds *seeds);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Seeds, seeds_free)
/* FALSE: no image has it. */
gboolean seeds_get(const Seeds *seeds, const IngotChunk *chunk, Seed *seed);
/* The disk of a source; -1: it has gone. The caller closes it. Called by several threads at a time. */
int seeds_open(const Seeds *seeds, guint source);
/* It gave another frame than its index says, in an earlier pull... */
gboolean seeds_is_doubted(const Seeds *seeds, guint source);
/* ...or in this one. */
void seeds_doubt(const Seeds *seeds, guint source);
