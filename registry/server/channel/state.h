/* States: what was said of a digest in a repository, one word after the other, and what counts at a moment.
 *
 * They are kept as the body of a record of the kind STATE_RECORD (storage/states.h): {"said": [WORD…]}, the words as
 * image/lifecycle.h has them, in the order in which they were said. Words of another registry, that this one mirrors or
 * caches, are "mirrored": true. Of the words that were said here, and of those that were said there, the last whose
 * time has come counts: a later word counts over every earlier one that has not begun. Of these two the stricter one
 * counts, so that neither side takes back what the other has said.
 *
 * Of the words that were said here, each has "everywhere": whether whoever said it may say so of all repositories; then
 * it counts for the same image in each of them. One that an older version has kept has no such member: for what stands
 * on the image it counts everywhere until another is said here, for the image itself in its own repository alone.
 *
 * No word is ever taken out, up to STATES_MOST that were said here, as many that were said everywhere, and as many of
 * the other registry, so that a revocation that was taken back can be seen for ever. Then the oldest go that can't
 * count any more, which the log of events still has: no number of words pushes out the one that counts, nor one of
 * another of the three. Pure functions. */
#pragma once

#include "image/lifecycle.h"
#include "server/storage/states.h"

#define STATES_MOST 100 /* of one digest, for each of the three */

/* The body with one more word; body: NULL, or what was there before. */
json_t *state_add(const json_t *body, const json_t *said, gint64 now);
/* The word that is to be added where the other registry says `there` now (NULL: nothing); NULL: none, it is said
 * already. It counts from now on at the latest: the other registry's clock may be ahead. */
json_t *state_mirror(const json_t *body, const json_t *there, gint64 now);
/* The word that counts at `now` (seconds); NULL: none, the digest is active. It belongs to the body (NULL: no body). */
const json_t *state_now(const json_t *body, gint64 now);
/* The word that counts of an image, as storage_states has it: its own repository's, or a stricter one that was said
 * everywhere, and *where (borrowed) is then the repository in which it was; else NULL. NULL: none. */
const json_t *state_of_image(const json_t *states, gint64 now, const char **where);
/* The word that counts of a base for an image that stands on it, as storage_states has it. Of a repository that neither
 * the image nor a mirror leads to, only words count that were said by whoever may say so everywhere: others could hold
 * up what is none of theirs. NULL: none. */
const json_t *state_of_base(const json_t *base, gint64 now);
/* The word that will count later; NULL: none. */
const json_t *state_next(const json_t *body, gint64 now);
