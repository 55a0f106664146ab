/* The images that a follower has pulled, and no others of the store: each move takes the name from the one before, and
 * without this it would stay there until `ingot gc`. The follower's folder has a note for each, from before it is
 * pulled until it has left the store. */
#pragma once

#include <ingot/digest.h>
#include <ingot/reference.h>
#include <ingot/store.h>

/* Notes that the image (image->digest: its manifest's), which target stands for, is pulled by this follower, with the
 * disks that it has. One that the store has already is not. */
gboolean pulled_note(const char *folder, IngotStore *store, const IngotReference *image, const IngotManifest *parts,
                     const IngotDigest *target, GError **error);
/* Removes those from the store that have lost their name, or were never pulled to their end, but for the two that are
 * needed. done may be NULL. What can't be removed now is tried for again with the next image. */
void pulled_remove(const char *folder, IngotStore *store, const IngotDigest *target, const IngotDigest *done);
