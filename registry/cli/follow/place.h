/* A follower's folder: the disks that its command is given, and what the command has done.
 *
 * Invariants: one follower has the folder at a time. DONE holds the digest of the last image for which the command
 * ended well. BEGUN is there from before a command starts until it has ended well: by then it holds the digest alone,
 * and takes DONE's name. So while BEGUN is there nobody knows what stands on the host, whatever DONE says. The
 * command's own shell does that, so a follower that is killed while the command ends finds it all the same. A disk, or
 * the folder of an image's several, has its name when it is whole and flushed; the one of DONE stays until another is
 * done. Disks go only while the turn is held: a command may read its own until it ends. */
#pragma once

#include <ingot/digest.h>
#include <ingot/store.h>

#include "cli/follow/attempt.h"

typedef struct Place Place;
/* Makes the folder where it is not there. EXISTS: another follower has it. */
Place *place_open(const char *folder, GError **error);
void place_free(Place *place);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Place, place_free)

/* A random word that tells the hosts of one name apart: the folder has had it from the first. */
const char *place_id(const Place *place);

/* What was done last, and when (seconds); FALSE: nothing was. */
gboolean place_done(const Place *place, IngotDigest *digest, gint64 *since);
/* The same; FALSE also where a command was begun since. */
gboolean place_stands(const Place *place, IngotDigest *digest, gint64 *since);

/* Notes that the command begins, at that time, which lasts from then on. */
gboolean place_begin(Place *place, const IngotDigest *digest, guint tries, gint64 since, GError **error);
/* The command that was noted last has not begun: what was noted before it counts again, and lasts. */
gboolean place_take_back(const Place *place, GError **error);
/* Where the shell was ended between BEGUN's two steps, the second is done: what it holds has ended well. The turn is to
 * be held. */
gboolean place_complete(const Place *place, GError **error);
/* What was begun and has not ended well. FALSE: nothing, or it can't be read. */
gboolean place_begun(const Place *place, Attempt *attempt);
/* Notes how it ended, unless it has ended well. */
gboolean place_fail(const Place *place, const Attempt *attempt, GError **error);
/* What the shell has noted of the command's end lasts from then on; what it could not note is noted. */
gboolean place_finish(const Place *place, const IngotDigest *digest, GError **error);
/* DONE and BEGUN, for the shell. */
const char *place_marker(const Place *place);
const char *place_note(const Place *place);

/* Removes all disks but the target's and DONE's, with what a follower that was killed has left of one. */
void place_tidy(const Place *place, const IngotDigest *target);
/* The image's disks as raw files, which may be read alone. Their paths, in order; free them with g_strfreev. */
char **place_disks(const Place *place, const IngotImage *image, const IngotDigest *digest, GError **error);

/* An open file whose lock (flock) a running command holds: the follower of before may have been killed, and its command
 * not. Waits until nobody holds it, and takes it; calls `waits` as soon as it has to wait, and each `every`
 * milliseconds until then. -1: INTERRUPTED, or an error. Close it. */
int place_take_turn(const Place *place, int every, void (*waits)(gpointer user), gpointer user, GError **error);
