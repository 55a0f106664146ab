/* Blobs: whole, by range, and their deletion. */
#include <ingot/error.h>
#include <string.h>

#include "server/oci/api.h"
#include "server/oci/range.h"

#define FOR_EVER "max-age=31536000, immutable"

/* The ranges asked for, unless they were asked for of other bytes (If-Range, RFC 9110, section 13.1.5). */
static RangeKind ranges_of(const Request *request, const char *tag, guint64 size, GArray *ranges)
{
    const char *only_of = request_header(request, "If-Range");
    return only_of != NULL && strcmp(only_of, tag) != 0 ? RANGE_WHOLE
                                                        : range_parse(request_header(request, "Range"), size, ranges);
}

/* The whole of it, or one range. */
static enum MHD_Result answer_run(Request *request, const ApiRoute *route, const char *tag, StorageBlob *blob,
                                  const ByteRange *range)
{
    guint64 size = storage_blob_size(blob);
    guint64 offset = range == NULL ? 0 : range->offset, length = range == NULL ? size : range->length;
    g_autofree char *frames = storage_blob_count(blob) < 2
                                  ? NULL
                                  : g_strdup_printf("/v2/%s/blobs/%s?frames=1", route->name, route->reference);
    g_autofree char *where =
        range == NULL ? NULL
                      : g_strdup_printf("bytes %" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT, offset,
                                        offset + length - 1, size);
    return request_answer_blob(request, range == NULL ? MHD_HTTP_OK : MHD_HTTP_PARTIAL_CONTENT, blob, offset, length,
                               "Content-Type", "application/octet-stream", "Accept-Ranges", "bytes",
                               "Docker-Content-Digest", route->reference, "ETag", tag, "Cache-Control", FOR_EVER,
                               "Content-Range", where, "Ingot-Frames", frames, NULL);
}

/* The blob is the answer's. */
static enum MHD_Result answer(Request *request, const ApiRoute *route, const char *tag, StorageBlob *blob)
{
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(ByteRange));
    switch (ranges_of(request, tag, storage_blob_size(blob), ranges)) {
    case RANGE_WHOLE:
        return answer_run(request, route, tag, blob, NULL);
    case RANGE_PARTS:
        if (ranges->len == 1) {
            return answer_run(request, route, tag, blob, &g_array_index(ranges, ByteRange, 0));
        }
        return request_answer_parts(request, blob, ranges, "Docker-Content-Digest", route->reference, "ETag", tag,
                                    "Cache-Control", FOR_EVER, NULL);
    default:
        break;
    }
    g_autofree char *all = g_strdup_printf("bytes */%" G_GUINT64_FORMAT, storage_blob_size(blob));
    storage_blob_unref(blob);
    return request_answer(request, MHD_HTTP_RANGE_NOT_SATISFIABLE, NULL, NULL, 0, "Content-Range", all, NULL);
}

/* Our own addition: the frames that the blob is made of, so that another registry copies those alone that it lacks. */
static enum MHD_Result answer_frames(Request *request, const StorageBlob *blob)
{
    g_autoptr(GBytes) frames = storage_blob_frames(blob);
    return request_answer(request, MHD_HTTP_OK, "application/octet-stream", g_bytes_get_data(frames, NULL),
                          g_bytes_get_size(frames), "Cache-Control", FOR_EVER, NULL);
}

static enum MHD_Result get(Request *request, const ApiRoute *route, const IngotDigest *digest)
{
    g_autoptr(GError) error = NULL;
    through_blob(request->through, route->name, digest);
    g_autoptr(StorageBlob) blob = storage_blob(request->storage, route->name, digest, &error);
    if (blob == NULL) {
        return request_fail(request, "BLOB_UNKNOWN", error);
    }
    if (strcmp(request->method, "HEAD") == 0 && storage_blob_damaged(blob)) {
        /* So that whoever asks before a push brings it again, which is what mends it. */
        return request_refuse(request, MHD_HTTP_NOT_FOUND, "BLOB_UNKNOWN", "a part of the blob is damaged");
    }
    if (request_query(request, "frames") != NULL) {
        return answer_frames(request, blob);
    }
    g_autofree char *tag = g_strdup_printf("\"%s\"", route->reference);
    if (request_has_already(request, tag)) {
        return request_answer(request, MHD_HTTP_NOT_MODIFIED, NULL, NULL, 0, "ETag", tag, "Cache-Control", FOR_EVER,
                              NULL);
    }
    return answer(request, route, tag, g_steal_pointer(&blob));
}

enum MHD_Result api_blob(Request *request, const ApiRoute *route)
{
    g_autoptr(GError) error = NULL;
    IngotDigest digest;
    if (!ingot_digest_parse(route->reference, &digest, &error)) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "DIGEST_INVALID", error->message);
    }
    if (strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0) {
        return get(request, route, &digest);
    }
    if (strcmp(request->method, "DELETE") == 0) {
        return storage_remove_blob(request->storage, route->name, &digest, &error)
                   ? request_answer(request, MHD_HTTP_ACCEPTED, NULL, NULL, 0, NULL)
                   : request_fail(request, "BLOB_UNKNOWN", error);
    }
    return request_refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "UNSUPPORTED", "GET, HEAD or DELETE");
}
