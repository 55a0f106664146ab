/* Firsts: which frame of a list is the first of its digest, found while the list is made.

 * It takes 8 to 16 bytes of memory for each frame. */
#pragma once

#include "server/packs/segment.h"

typedef struct Firsts Firsts;

/* For at most so many frames. */
Firsts *firsts_new(guint frames);
void firsts_free(Firsts *firsts);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Firsts, firsts_free)
/* The number of the first frame that has the digest, of those that were added; that frame's own if it is the first. It
 * is the next one, which the table need not have yet. */
guint firsts_add(Firsts *firsts, const Table *table, const IngotDigest *digest);
