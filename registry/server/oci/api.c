#include "server/oci/api.h"

#include <ingot/error.h>
#include <ingot/reference.h>
#include <string.h>

#include "server/auth/access.h"
#include "server/auth/issue.h"
#include "server/channel/doors.h"
#include "server/http/client.h"
#include "server/http/range.h"
#include "server/oci/newupload.h"
#include "server/oci/rights.h"
#include "server/oci/ticket.h"
#include "server/server.h"

/* The name's grammar, and the caller's rights. Of an upload the reference becomes its id; one that no ticket names is
 * refused here: it has no strand to wait in, and no body worth reading. */
static enum MHD_Result api_check(Request *request, const RouteMatch *match)
{
    g_autoptr(GError) error = NULL;
    enum MHD_Result result = MHD_YES;
    if (match->name != NULL && !ingot_name_check(match->name, &error)) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "NAME_INVALID", error->message);
    }
    if (match->kind == API_UPLOAD) {
        g_autofree char *ticket = g_steal_pointer(&request->match.reference);
        request->match.reference = ticket_read(request, match->name, ticket);
        g_free(request->strand);
        request->strand = g_strdup(match->reference);
    }
    if (rights_check(request, match, &result) && match->kind == API_UPLOAD && match->reference == NULL) {
        return request_refuse(request, MHD_HTTP_NOT_FOUND, "BLOB_UPLOAD_UNKNOWN",
                              "there is no such upload in this repository");
    }
    return result;
}

StorageActor api_actor(const Request *request)
{
    return channel_door_actor(request, request_header(request, "Ingot-Reason"));
}

enum MHD_Result api_refuse_digest(Request *request, const GError *error)
{
    return g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID)
               ? request_refuse(request, MHD_HTTP_BAD_REQUEST, "DIGEST_INVALID", error->message)
               : request_fail(request, "NAME_UNKNOWN", error);
}

enum MHD_Result api_fail_there(Request *request, FetchOutcome outcome, const char *code, const GError *error)
{
    return through_is_open(outcome) && g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)
               ? request_refuse_busy(request, through_reason(outcome))
               : request_fail(request, code, error);
}

/* A chunk is as long as its range says, which may be missing (then its length is 0); answers itself where it is not so.
 */
static gboolean check_chunk(Request *request, ByteRange *chunk, enum MHD_Result *result)
{
    const char *range = request_header(request, "Content-Range"), *length = request_header(request, "Content-Length");
    if (range == NULL) {
        return TRUE;
    }
    if (!range_parse_content(range, chunk)) {
        *result = request_refuse(request, MHD_HTTP_BAD_REQUEST, "BLOB_UPLOAD_INVALID", "Content-Range: FIRST-LAST");
    } else if (length != NULL && g_ascii_strtoull(length, NULL, 10) != chunk->length) {
        *result = request_refuse(request, MHD_HTTP_BAD_REQUEST, "SIZE_INVALID", "the range has another length");
    } else {
        return TRUE;
    }
    return FALSE;
}

/* The range does not begin where the upload stands: where that is. */
static enum MHD_Result refuse_place(Request *request)
{
    g_autofree char *stands = api_upload_range(request->upload_at);
    enum MHD_Result result = request_refuse(request, MHD_HTTP_RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID",
                                            "the range does not begin where the upload stands");
    MHD_add_response_header(request->response, "Range", stands);
    return result;
}

/* The digest that an upload must have; answers itself where it is none. */
static gboolean check_digest(Request *request, OciDigest *digest, enum MHD_Result *result)
{
    g_autoptr(GError) error = NULL;
    const char *text = request_query(request, "digest");
    if (text != NULL && oci_digest_parse(text, digest, &error)) {
        return TRUE;
    }
    *result = request_refuse(request, MHD_HTTP_BAD_REQUEST, "DIGEST_INVALID",
                             error == NULL ? "?digest=ALGORITHM:HEX is missing" : error->message);
    return FALSE;
}

static gboolean take_upload(Request *request, const void *data, gsize size, GError **error)
{
    guint64 at = request->upload_at;
    request->upload_at += size;
    if (request->upload_end != 0 && request->upload_at > request->upload_end) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "more came than the range says");
        return FALSE;
    }
    return storage_upload_add(request->server->storage, request->upload, request->upload_turn, at, data, size, error);
}

static void rest_upload(struct Server *server, const char *id)
{
    storage_upload_pause(server->storage, id);
}

/* Only the request itself knows of the upload. One that is finished is not there any more. */
static void drop_upload(struct Server *server, const char *id)
{
    storage_upload_drop(server->storage, id, NULL);
}

/* What is wrong with a PATCH or PUT is said before its bytes come: a second try must find the upload as it was. One
 * that is not wrong ends the turn of a request that still brings bytes: mostly its client has lost that connection. */
static enum MHD_Result begin_upload(Request *request, const RouteMatch *match)
{
    g_autoptr(GError) error = NULL;
    enum MHD_Result result = MHD_YES;
    OciDigest digest;
    ByteRange chunk = {0};
    if ((strcmp(request->method, "PUT") == 0 && !check_digest(request, &digest, &result)) ||
        !check_chunk(request, &chunk, &result)) {
        return result;
    }
    if (!storage_upload_begin(request->server->storage, match->reference, client_network(request),
                              chunk.length > 0 ? &chunk.offset : NULL, &request->upload_turn, &request->upload_at,
                              &error)) {
        return api_upload_fail(request, error);
    }
    if (request->upload_turn == 0) {
        return refuse_place(request);
    }
    request->upload_end = chunk.length > 0 ? chunk.offset + chunk.length : 0;
    request->upload = g_strdup(match->reference);
    request_stream(request, request->upload, take_upload, rest_upload);
    return MHD_YES;
}

/* POST with a digest brings the whole blob. */
static enum MHD_Result begin_uploads(Request *request, const RouteMatch *match)
{
    enum MHD_Result result = MHD_YES;
    OciDigest digest;
    if (request_query(request, "digest") == NULL || request_query(request, "mount") != NULL) {
        return MHD_YES;
    }
    if (!check_digest(request, &digest, &result)) {
        return result;
    }
    request->upload = new_upload(request, match->name, TRUE, &result);
    if (request->upload == NULL) {
        return result;
    }
    request_stream(request, request->upload, take_upload, drop_upload);
    return MHD_YES;
}

static enum MHD_Result answer_root(Request *request, const RouteMatch *match)
{
    (void)match;
    return request_answer(request, MHD_HTTP_OK, "application/json", "{}", 2, NULL);
}

static enum MHD_Result answer_token(Request *request, const RouteMatch *match)
{
    (void)match;
    return issue_token(request);
}

/* Whether the repository has what a digest names, which then is what the upstream has. */
static gboolean is_here(const Request *request, const RouteMatch *match)
{
    IngotDigest digest;
    Storage *storage = request->server->storage;
    return match->reference != NULL && storage_digest(storage, match->reference, &digest, NULL) &&
           (match->kind == API_BLOB ? storage_is_whole(storage, match->name, &digest)
                                    : storage_has_manifest(storage, match->name, &digest) &&
                                          storage_is_whole(storage, match->name, &digest));
}

/* What is not here, or may be newer there, waits for an upstream; nothing that is here waits behind that. */
static Pool move_read(Request *request, const RouteMatch *match)
{
    return request->server->through != NULL && !is_here(request, match) ? POOL_UPSTREAM
           : match->kind == API_BLOB                                    ? api_blob_pool(request, match)
                                                                        : POOL_READ;
}

/* What a push counts on may have to come first. */
static Pool choose_put(const Request *request, const RouteMatch *match)
{
    (void)match;
    return request->server->through != NULL ? POOL_UPSTREAM : POOL_WRITE;
}

/* The upstream is asked first, whatever is here. */
static Pool choose_referrers(const Request *request, const RouteMatch *match)
{
    (void)match;
    return request->server->through != NULL ? POOL_UPSTREAM : POOL_READ;
}

/* The end of an upload that waits for hashes keeps nobody else from writing. */
static Pool move_end(Request *request, const RouteMatch *match)
{
    OciDigest digest;
    return strcmp(request->method, "PUT") == 0 && request->failure == NULL &&
                   oci_digest_parse(request_query(request, "digest"), &digest, NULL) &&
                   storage_upload_ends_late(request->server->storage, match->reference, digest.is_sha512)
               ? POOL_FINISH
               : POOL_WRITE;
}

#define READS .methods = "GET, HEAD", .pool = POOL_READ, .check = api_check, .scope = rights_scope
#define WRITES .pool = POOL_WRITE, .check = api_check, .scope = rights_scope
const Route api_routes[] = {
    {.methods = "GET",
     .pattern = "/token",
     .name = "token",
     .kind = API_TOKEN,
     .pool = POOL_READ,
     .answer = answer_token},
    {.methods = "GET, HEAD",
     .pattern = "/v2/",
     .name = "root",
     .kind = API_ROOT,
     .check = api_check,
     .answer = answer_root},
    {.methods = "GET, HEAD",
     .pattern = "/v2",
     .name = "root",
     .kind = API_ROOT,
     .check = api_check,
     .answer = answer_root},
    {READS, .pattern = "/v2/_catalog", .name = "catalog", .kind = API_CATALOG, .move = move_read,
     .answer = api_catalog},
    {WRITES, .methods = "POST", .pattern = "/v2/{name}/blobs/uploads/", .name = "uploads", .kind = API_UPLOADS,
     .body_max = ROUTE_STREAMED, .begin = begin_uploads, .answer = api_uploads},
    {WRITES, .methods = "POST", .pattern = "/v2/{name}/blobs/uploads", .name = "uploads", .kind = API_UPLOADS,
     .body_max = ROUTE_STREAMED, .begin = begin_uploads, .answer = api_uploads},
    {WRITES, .methods = "PATCH, PUT", .pattern = "/v2/{name}/blobs/uploads/{reference}", .name = "upload",
     .kind = API_UPLOAD, .body_max = ROUTE_STREAMED, .begin = begin_upload, .move = move_end, .answer = api_upload},
    {WRITES, .methods = "POST", .pattern = "/v2/{name}/blobs/uploads/{reference}", .name = "upload", .kind = API_UPLOAD,
     .body_max = API_FRAMES_MAX, .answer = api_upload},
    {WRITES, .methods = "GET, DELETE", .pattern = "/v2/{name}/blobs/uploads/{reference}", .name = "upload",
     .kind = API_UPLOAD, .answer = api_upload},
    {READS, .pattern = "/v2/{name}/blobs/{reference}", .name = "blob", .kind = API_BLOB, .move = move_read,
     .quick = api_blob_quick, .answer = api_blob},
    {.methods = "POST",
     .pool = POOL_READ,
     .check = api_check,
     .scope = rights_scope,
     .pattern = "/v2/{name}/blobs/{reference}",
     .name = "blob",
     .kind = API_BLOB,
     .body_max = API_RANGES_MAX,
     .answer = api_blob_ranges},
    {WRITES, .methods = "DELETE", .pattern = "/v2/{name}/blobs/{reference}", .name = "blob", .kind = API_BLOB,
     .answer = api_blob},
    {READS, .pattern = "/v2/{name}/manifests/{reference}", .name = "manifest", .kind = API_MANIFEST, .move = move_read,
     .quick = api_manifest_quick, .answer = api_manifest},
    {WRITES, .methods = "PUT", .pattern = "/v2/{name}/manifests/{reference}", .name = "manifest", .kind = API_MANIFEST,
     .body_max = API_MANIFEST_MAX, .choose = choose_put, .answer = api_manifest},
    {WRITES, .methods = "DELETE", .pattern = "/v2/{name}/manifests/{reference}", .name = "manifest",
     .kind = API_MANIFEST, .answer = api_manifest},
    {READS, .pattern = "/v2/{name}/referrers/{reference}", .name = "referrers", .kind = API_REFERRERS,
     .choose = choose_referrers, .move = api_referrers_move, .answer = api_referrers},
    {READS, .pattern = "/v2/{name}/tags/list", .name = "tags", .kind = API_TAGS, .move = move_read, .answer = api_tags},
    {0},
};
