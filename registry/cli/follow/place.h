/* A follower's folder: the disk that its command is given, and what the command has done.
 *
 * Invariants: one follower has the folder at a time. DONE holds the digest of the last image for which the command
 * ended well; the command's own shell writes it, so a follower that is killed while the command ends finds it all the
 * same. A disk has its name when it is whole and flushed; the one of DONE stays until another is done. Disks go
 * only while the turn is held: a command may read its own until it ends. */
#pragma once

#include <ingot/digest.h>
#include <ingot/store.h>

typedef struct Place Place;
/* Makes the folder where it is not there. EXISTS: another follower has it. */
Place *place_open(const char *folder, GError **error);
void place_free(Place *place);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Place, place_free)

/* What was done last, and when (seconds); FALSE: nothing was. */
gboolean place_done(const Place *place, IngotDigest *digest, gint64 *since);
/* Notes it, where the command's shell could not. */
gboolean place_finish(const Place *place, const IngotDigest *digest, GError **error);
/* Where the shell writes what it has done. */
const char *place_marker(const Place *place);

/* Removes all disks but the target's and DONE's, with what a follower that was killed has left of one. */
void place_tidy(const Place *place, const IngotDigest *target);
/* The image's disk as a raw file, which may be read alone. Its path; free it. */
char *place_disk(const Place *place, const IngotImage *image, const IngotDigest *digest, GError **error);

/* An open file whose lock (flock) a running command holds: the follower of before may have been killed, and its command
 * not. Waits until nobody holds it, and takes it. -1: INTERRUPTED, or an error. Close it. */
int place_take_turn(const Place *place, GError **error);
