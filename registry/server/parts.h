/* An answer's body that is put together from texts and ranges of one open file, without a copy of either. */
#pragma once

#include <microhttpd.h>

#include "server/oci/range.h"

/* A multipart/byteranges body (RFC 9110, section 14.6) of a file of `size` bytes; boundary must not be in it. *total
 * receives its length. fd is closed with the response. NULL where memory is short. */
struct MHD_Response *parts_response(int fd, guint64 size, const GArray *ranges, const char *type, const char *boundary,
                                    guint64 *total);
