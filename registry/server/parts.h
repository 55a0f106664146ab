/* An answer's body that is put together from texts and ranges of one blob, without a copy of either. */
#pragma once

#include <microhttpd.h>

#include "server/oci/range.h"
#include "server/storage/storage.h"

/* A multipart/byteranges body (RFC 9110, section 14.6); boundary must not be in the blob. *total receives its length.
 * Both hold a reference of the blob; NULL where memory is short. A damaged piece breaks the answer off. */
struct MHD_Response *parts_response(StorageBlob *blob, const GArray *ranges, const char *type, const char *boundary,
                                    guint64 *total);
/* One range, as it is. */
struct MHD_Response *parts_run(StorageBlob *blob, guint64 offset, guint64 size);
