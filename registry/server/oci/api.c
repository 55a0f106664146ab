#include "server/oci/api.h"

#include <ingot/error.h>
#include <ingot/reference.h>
#include <string.h>

#include "server/auth/issue.h"
#include "server/http/range.h"
#include "server/oci/rights.h"
#include "server/oci/ticket.h"

void api_route_clear(ApiRoute *route)
{
    g_free(route->name);
    g_free(route->reference);
}

/* Splits "NAME/KIND/REFERENCE" at the last "/KIND/": a name may hold the same words. */
static gboolean split(const char *path, const char *kind, ApiRoute *route)
{
    const char *at = g_strrstr(path, kind);
    if (at == NULL || at == path || strchr(at + strlen(kind), '/') != NULL) {
        return FALSE;
    }
    route->name = g_strndup(path, (gsize)(at - path));
    const char *rest = at + strlen(kind);
    route->reference = *rest == '\0' ? NULL : g_strdup(rest);
    return TRUE;
}

static gboolean find_route(const char *path, ApiRoute *route)
{
    static const struct {
        const char *text;
        int kind;
    } kinds[] = {{"/blobs/uploads/", API_UPLOAD},
                 {"/blobs/", API_BLOB},
                 {"/manifests/", API_MANIFEST},
                 {"/referrers/", API_REFERRERS},
                 {"/tags/list", API_TAGS}};
    if (strcmp(path, "/v2") == 0 || strcmp(path, "/v2/") == 0) {
        route->kind = API_ROOT;
        return TRUE;
    }
    if (strcmp(path, "/token") == 0) {
        route->kind = API_TOKEN;
        return TRUE;
    }
    if (!g_str_has_prefix(path, "/v2/")) {
        return FALSE;
    }
    path += strlen("/v2/");
    if (strcmp(path, "_catalog") == 0) {
        route->kind = API_CATALOG;
        return TRUE;
    }
    if (g_str_has_suffix(path, "/blobs/uploads")) {
        route->name = g_strndup(path, strlen(path) - strlen("/blobs/uploads"));
        route->kind = API_UPLOADS;
        return TRUE;
    }
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (split(path, kinds[i].text, route)) {
            route->kind = kinds[i].kind;
            if (route->kind == API_UPLOAD && route->reference == NULL) {
                route->kind = API_UPLOADS;
            }
            return (route->reference == NULL) == (route->kind == API_UPLOADS || route->kind == API_TAGS);
        }
    }
    return FALSE;
}

const char *api_route_name(const char *path)
{
    static const char *const names[] = {"root",     "catalog", "blob",      "uploads", "upload",
                                        "manifest", "tags",    "referrers", "token"};
    g_auto(ApiRoute) route = {0};
    return find_route(path, &route) ? names[route.kind] : "other";
}

/* Finds the route and checks the name; answers itself where either is wrong. */
static gboolean open_route(Request *request, ApiRoute *route, enum MHD_Result *result)
{
    g_autoptr(GError) error = NULL;
    if (!find_route(request->path, route)) {
        *result = request_refuse(request, MHD_HTTP_NOT_FOUND, "UNSUPPORTED", "no such endpoint");
        return FALSE;
    }
    if (route->name != NULL && !ingot_name_check(route->name, &error)) {
        *result = request_refuse(request, MHD_HTTP_BAD_REQUEST, "NAME_INVALID", error->message);
        return FALSE;
    }
    if (route->kind == API_UPLOAD) {
        g_autofree char *ticket = g_steal_pointer(&route->reference);
        route->reference = ticket_read(request, route->name, ticket);
    }
    return TRUE;
}

/* A chunk goes on where the upload stands and is as long as its range says; answers itself where it is not so. */
static gboolean check_chunk(Request *request, enum MHD_Result *result)
{
    const char *range = request_header(request, "Content-Range"), *length = request_header(request, "Content-Length");
    ByteRange chunk;
    if (range == NULL) {
        return TRUE;
    }
    if (!range_parse_content(range, &chunk)) {
        *result = request_refuse(request, MHD_HTTP_BAD_REQUEST, "BLOB_UPLOAD_INVALID", "Content-Range: FIRST-LAST");
    } else if (chunk.offset != request->upload_at) {
        *result = request_refuse(request, MHD_HTTP_RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID",
                                 "the range does not begin where the upload stands");
    } else if (length != NULL && g_ascii_strtoull(length, NULL, 10) != chunk.length) {
        *result = request_refuse(request, MHD_HTTP_BAD_REQUEST, "SIZE_INVALID", "the range has another length");
    } else {
        return TRUE;
    }
    return FALSE;
}

/* The digest that an upload must have; answers itself where it is none. */
static gboolean check_digest(Request *request, enum MHD_Result *result)
{
    g_autoptr(GError) error = NULL;
    IngotDigest digest;
    const char *text = request_query(request, "digest");
    if (text != NULL && ingot_digest_parse(text, &digest, &error)) {
        return TRUE;
    }
    *result = request_refuse(request, MHD_HTTP_BAD_REQUEST, "DIGEST_INVALID",
                             error == NULL ? "?digest=sha256:HEX is missing" : error->message);
    return FALSE;
}

/* What is wrong with a PATCH or PUT is said before its bytes come: a second try must find the upload as it was. */
static enum MHD_Result begin_upload(Request *request, const ApiRoute *route)
{
    g_autoptr(GError) error = NULL;
    enum MHD_Result result = MHD_YES;
    if (!storage_upload_size(request->storage, route->reference, &request->upload_at, &error)) {
        return request_refuse(request, MHD_HTTP_NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", error->message);
    }
    if ((strcmp(request->method, "PUT") == 0 && !check_digest(request, &result)) || !check_chunk(request, &result)) {
        return result;
    }
    request->upload = g_strdup(route->reference);
    return MHD_YES;
}

enum MHD_Result api_begin(Request *request)
{
    g_auto(ApiRoute) route = {0};
    enum MHD_Result result = MHD_YES;
    if (!open_route(request, &route, &result) || !rights_check(request, &route, &result)) {
        return result;
    }
    gboolean writes = strcmp(request->method, "PUT") == 0 || strcmp(request->method, "PATCH") == 0;
    if (route.kind == API_UPLOAD && strcmp(request->method, "POST") == 0) {
        request->body_max = API_FRAMES_MAX;
    }
    if (route.kind == API_UPLOAD && writes) {
        return begin_upload(request, &route);
    }
    if (route.kind == API_UPLOADS && strcmp(request->method, "POST") == 0 && request_query(request, "digest") != NULL &&
        request_query(request, "mount") == NULL) {
        g_autoptr(GError) error = NULL;
        if (!check_digest(request, &result)) {
            return result;
        }
        request->upload = storage_upload_new(request->storage, &error);
        return request->upload == NULL ? request_fail(request, "BLOB_UPLOAD_INVALID", error) : MHD_YES;
    }
    const char *length = request_header(request, "Content-Length");
    if (route.kind == API_MANIFEST && length != NULL && g_ascii_strtoull(length, NULL, 10) > API_MANIFEST_MAX) {
        return request_refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "SIZE_INVALID", "a manifest may have 4 MiB");
    }
    return MHD_YES;
}

/* What can only be looked at. */
static gboolean read_only(const ApiRoute *route)
{
    return route->kind == API_ROOT || route->kind == API_CATALOG || route->kind == API_TAGS ||
           route->kind == API_REFERRERS;
}

enum MHD_Result api_answer(Request *request)
{
    g_auto(ApiRoute) route = {0};
    enum MHD_Result result = MHD_YES;
    if (!open_route(request, &route, &result)) {
        return result;
    }
    if (read_only(&route) && strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0) {
        return request_refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "UNSUPPORTED", "GET or HEAD");
    }
    switch (route.kind) {
    case API_ROOT:
        return request_answer(request, MHD_HTTP_OK, "application/json", "{}", 2, NULL);
    case API_CATALOG:
        return api_catalog(request);
    case API_BLOB:
        return api_blob(request, &route);
    case API_UPLOADS:
        return api_uploads(request, &route);
    case API_UPLOAD:
        return api_upload(request, &route);
    case API_MANIFEST:
        return api_manifest(request, &route);
    case API_TAGS:
        return api_tags(request, &route);
    case API_REFERRERS:
        return api_referrers(request, &route);
    case API_TOKEN:
        return issue_token(request);
    }
    g_assert_not_reached();
}
