/* An answer's body that is put together from texts and ranges of one body. What is read of the body is read by a pool,
 * while the connection is suspended: the event loop does not wait for it. */
#pragma once

#include <microhttpd.h>

#include "server/http/body.h"
#include "server/http/pool.h"
#include "server/http/range.h"

/* A multipart/byteranges body (RFC 9110, section 14.6); boundary must not be in it. *total receives its length.
 * Both hold a reference of the body; NULL where memory is short. Damage breaks the answer off. */
struct MHD_Response *parts_response(struct MHD_Connection *connection, WorkPool *pool, Body *body, const GArray *ranges,
                                    const char *type, const char *boundary, guint64 *total);
/* The ranges one behind the other, with nothing between them. */
struct MHD_Response *parts_joined(struct MHD_Connection *connection, WorkPool *pool, Body *body, const GArray *ranges,
                                  guint64 *total);
/* One range, as it is, where all of it is in memory and is no more than an answer may keep; else NULL. */
struct MHD_Response *parts_at_once(Body *body, guint64 offset, guint64 size);
/* One range, as it is. */
struct MHD_Response *parts_run(struct MHD_Connection *connection, WorkPool *pool, Body *body, guint64 offset,
                               guint64 size);
