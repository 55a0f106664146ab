/* Blobs: whole, by range, and their deletion. */
#include <ingot/error.h>
#include <string.h>
#include <unistd.h>

#include "server/oci/api.h"

typedef enum { RANGE_NONE, RANGE_OK, RANGE_BAD } RangeKind;

/* One range of RFC 9110, section 14.1.2; more than one, or another unit, is answered with the whole. */
static RangeKind parse_range(const char *text, guint64 size, guint64 *offset, guint64 *length)
{
    if (text == NULL || !g_str_has_prefix(text, "bytes=") || strchr(text, ',') != NULL) {
        return RANGE_NONE;
    }
    const char *from = text + strlen("bytes="), *dash = strchr(from, '-');
    if (dash == NULL || (dash != from && !g_ascii_isdigit(*from)) || (dash[1] != '\0' && !g_ascii_isdigit(dash[1]))) {
        return RANGE_NONE;
    }
    guint64 first = g_ascii_strtoull(from, NULL, 10), last = g_ascii_strtoull(dash + 1, NULL, 10);
    if (dash == from) {
        first = last >= size ? 0 : size - last;
        last = last == 0 ? 0 : size - 1;
        if (dash[1] == '\0' || last == 0) {
            return RANGE_BAD;
        }
    } else if (dash[1] == '\0' || last >= size) {
        last = size == 0 ? 0 : size - 1;
    }
    if (first >= size || last < first) {
        return RANGE_BAD;
    }
    *offset = first;
    *length = last - first + 1;
    return RANGE_OK;
}

static enum MHD_Result get(Request *request, const ApiRoute *route, const IngotDigest *digest)
{
    g_autoptr(GError) error = NULL;
    guint64 size, offset = 0, length;
    int fd = storage_blob(request->storage, route->name, digest, &size, &error);
    if (fd < 0) {
        return request_fail(request, "BLOB_UNKNOWN", error);
    }
    length = size;
    g_autofree char *tag = g_strdup_printf("\"%s\"", route->reference);
    RangeKind kind = parse_range(request_header(request, "Range"), size, &offset, &length);
    if (kind == RANGE_BAD) {
        close(fd);
        g_autofree char *all = g_strdup_printf("bytes */%" G_GUINT64_FORMAT, size);
        return request_answer(request, MHD_HTTP_RANGE_NOT_SATISFIABLE, NULL, NULL, 0, "Content-Range", all, NULL);
    }
    g_autofree char *range = g_strdup_printf("bytes %" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT,
                                             offset, offset + length - 1, size);
    return request_answer_file(request, kind == RANGE_OK ? MHD_HTTP_PARTIAL_CONTENT : MHD_HTTP_OK, fd, offset, length,
                               "Content-Type", "application/octet-stream", "Accept-Ranges", "bytes",
                               "Docker-Content-Digest", route->reference, "ETag", tag, "Cache-Control",
                               "max-age=31536000, immutable", "Content-Range", kind == RANGE_OK ? range : NULL, NULL);
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
