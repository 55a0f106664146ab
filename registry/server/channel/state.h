/* States: what was said of a digest in a repository, one word after the other, and what counts at a moment.
 *
 * They are kept as the body of a record of the kind STATE_RECORD (storage/states.h): {"said": [WORD…]}, the words as
 * image/lifecycle.h has them, in the order in which they were said; none is ever taken out, up to STATES_MOST of them,
 * so that a revocation that was taken back can be seen for ever. What counts is the last word whose time has come: a
 * later word counts over every earlier one that has not begun. Pure functions. */
#pragma once

#include "image/lifecycle.h"
#include "server/storage/states.h"

#define STATES_MOST 100 /* of one digest: then the oldest go, which the log of events still has */

/* The body with one more word; body: NULL, or what was there before. */
json_t *state_add(const json_t *body, const json_t *said);
/* The word that counts at `now` (seconds); NULL: none, the digest is active. It belongs to the body (NULL: no body). */
const json_t *state_now(const json_t *body, gint64 now);
/* The word that will count later; NULL: none. */
const json_t *state_next(const json_t *body, gint64 now);
