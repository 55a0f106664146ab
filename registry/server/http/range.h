/* Byte ranges of a request: which parts of a blob it asks for (RFC 9110, section 14), or brings. */
#pragma once

#include <glib.h>

#define RANGES_MAX 1024 /* in one request */

typedef struct {
    guint64 offset, length; /* bytes; length > 0 */
} ByteRange;

typedef enum {
    RANGE_WHOLE,        /* no ranges, or none that we answer: the whole is */
    RANGE_PARTS,        /* these */
    RANGE_UNSATISFIABLE /* nothing of the blob lies in them: 416 */
} RangeKind;

/* text: the header's value, or NULL. Appends ByteRange to ranges, in the order asked for; those outside the blob are
 * left out. More than RANGES_MAX, or more bytes than the blob has (ranges that overlap), or a text outside the grammar,
 * is answered with the whole. */
RangeKind range_parse(const char *text, guint64 size, GArray *ranges);

#define RANGE_ENTRY 16 /* bytes of a list for each range: offset, length */

/* A list of ranges (Ingot-Ranges: 64 bits each for offset and length, little-endian), which ascend and do not overlap,
 * so that together they are no longer than the blob. FALSE: it is no such list, or a range is not in the blob. */
gboolean range_parse_list(const guint8 *list, gsize size, guint64 blob_size, GArray *ranges);

/* The Content-Range of a chunk that is uploaded, "FIRST-LAST" in digits alone (OCI distribution-spec, "Pushing a blob
 * in chunks"). FALSE: it is none, or no file can be so long. */
gboolean range_parse_content(const char *text, ByteRange *range);
