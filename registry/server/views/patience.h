/* Patience: how long a request waits for what a pass over a whole disk tells, and what it says then. A small image is
 * measured meanwhile, and its client sees nothing of it; for a large one the client comes again.
 *
 * The answer is 503 with Retry-After. Clients that know nothing of Ingot take it for what it is: `curl --retry`, and
 * whatever else honours Retry-After, asks again by itself; Vagrant, wget and `curl -f` fail without a file. After a 202
 * each of them keeps the answer's body as the box or the disk. A client that says "Prefer: respond-async" (RFC 7240)
 * gets the 202. */
#pragma once

#include "server/http/request.h"
#include "server/views/warm.h"

/* The time (monotonic) until when a request that begins now waits. */
gint64 patience_end(void);
/* warm_wait for the request's client. */
WarmAnswer patience_wait(Request *request, const WarmWish *wish, gint64 until, GError **error);
/* The client is to come again. */
enum MHD_Result patience_answer(Request *request);
