/* What comes in with a request: the bytes of its body, within bounds.
 *
 * Invariant: memory is bounded, whoever sends. A route without a body takes none; a body that is kept is as long as
 * its route allows, and all that are kept have a bound together, large
 * ones and small ones each, of which one client's network has a share (share.h); of one that is streamed little is held
 * before a pool takes it. */
#pragma once

#include "server/http/request.h"

/* When the head has come: refuses (413) a body that the route does not take, and notes whether the rest of a refused
 * one is to be read. */
void intake_begin(Request *request);
/* More of the body. TRUE: enough of a streamed one is held for a pool to take it (intake_store). */
gboolean intake_add(Request *request, const char *data, gsize size);
/* Gives what is held of a streamed body to the route's `take`; in a pool. */
void intake_store(Request *request);
/* Whether a streamed body has bytes that were not taken yet. */
gboolean intake_has(const Request *request);
/* Lets go of what is held. */
void intake_end(Request *request);
