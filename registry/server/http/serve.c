#include "server/http/serve.h"

#include <string.h>

#include "server/http/range.h"

#define BUFFERED                                                                                                       \
    (4u << 20) /* bytes of an answer which nginx may keep: of what is longer it would read ahead, and then not */

/* The ranges asked for: of GET alone (RFC 9110, section 14.2), and unless they were asked for of other bytes (If-Range,
 * section 13.1.5). */
static RangeKind ranges_of(const Request *request, const char *tag, guint64 size, GArray *ranges)
{
    const char *only_of = request_header(request, "If-Range");
    return strcmp(request->method, "GET") != 0 || (only_of != NULL && strcmp(only_of, tag) != 0)
               ? RANGE_WHOLE
               : range_parse(request_header(request, "Range"), size, ranges);
}

static const char *buffering_of(guint64 length)
{
    return length > BUFFERED ? "no" : NULL;
}

/* The whole of it, or one range. */
static enum MHD_Result serve_run(Request *request, Body *body, const ServeHeaders *headers, const ByteRange *range)
{
    guint64 offset = range == NULL ? 0 : range->offset, length = range == NULL ? body->size : range->length;
    g_autofree char *where =
        range == NULL ? NULL
                      : g_strdup_printf("bytes %" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT, offset,
                                        offset + length - 1, body->size);
    return request_answer_body(request, range == NULL ? MHD_HTTP_OK : MHD_HTTP_PARTIAL_CONTENT, body, offset, length,
                               "Content-Type", headers->type, "Accept-Ranges", "bytes", "Docker-Content-Digest",
                               headers->digest, "ETag", headers->tag, "Cache-Control", headers->keep, "Content-Range",
                               where, "Ingot-Frames", headers->frames, "Ingot-Ranges", headers->ranges,
                               "X-Accel-Buffering", buffering_of(length), NULL);
}

/* Several ranges of it. */
static enum MHD_Result serve_parts(Request *request, Body *body, const ServeHeaders *headers, const GArray *ranges)
{
    guint64 length = 0;
    for (guint i = 0; i < ranges->len; i++) {
        length += g_array_index(ranges, ByteRange, i).length;
    }
    return request_answer_parts(request, body, ranges, headers->type, "Docker-Content-Digest", headers->digest, "ETag",
                                headers->tag, "Cache-Control", headers->keep, "X-Accel-Buffering", buffering_of(length),
                                NULL);
}

static enum MHD_Result serve_nothing(Request *request, Body *body)
{
    g_autofree char *all = g_strdup_printf("bytes */%" G_GUINT64_FORMAT, body->size);
    body_unref(body);
    return request_answer(request, MHD_HTTP_RANGE_NOT_SATISFIABLE, NULL, NULL, 0, "Content-Range", all, NULL);
}

enum MHD_Result serve(Request *request, Body *body, const ServeHeaders *headers)
{
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(ByteRange));
    if (request_has_already(request, headers->tag)) {
        body_unref(body);
        return request_answer(request, MHD_HTTP_NOT_MODIFIED, NULL, NULL, 0, "ETag", headers->tag, "Cache-Control",
                              headers->keep, NULL);
    }
    switch (ranges_of(request, headers->tag, body->size, ranges)) {
    case RANGE_WHOLE:
        return serve_run(request, body, headers, NULL);
    case RANGE_PARTS:
        return ranges->len == 1 ? serve_run(request, body, headers, &g_array_index(ranges, ByteRange, 0))
                                : serve_parts(request, body, headers, ranges);
    default:
        return serve_nothing(request, body);
    }
}
