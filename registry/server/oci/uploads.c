/* Uploads: POST opens one, PATCH adds, PUT ends it; POST with a digest does all at once; mount makes it unneeded. */
#include <ingot/error.h>
#include <ingot/reference.h>
#include <string.h>

#include "server/auth/access.h"
#include "server/oci/api.h"
#include "server/oci/newupload.h"
#include "server/oci/ticket.h"
#include "server/server.h"

static enum MHD_Result created(Request *request, const char *name, const char *digest)
{
    g_autofree char *location = g_strdup_printf("/v2/%s/blobs/%s", name, digest);
    return request_answer(request, MHD_HTTP_CREATED, NULL, NULL, 0, "Location", location, "Docker-Content-Digest",
                          digest, NULL);
}

char *api_upload_range(guint64 size)
{
    return g_strdup_printf("0-%" G_GUINT64_FORMAT, size == 0 ? 0 : size - 1);
}

static enum MHD_Result state(Request *request, guint status, const char *name, const char *id, guint64 size)
{
    g_autofree char *ticket = ticket_write(request, name, id);
    g_autofree char *location = g_strdup_printf("/v2/%s/blobs/uploads/%s", name, ticket);
    g_autofree char *range = api_upload_range(size);
    return request_answer(request, status, NULL, NULL, 0, "Location", location, "Range", range, "Docker-Upload-UUID",
                          id, "Ingot-Frames", location, NULL);
}

enum MHD_Result api_upload_fail(Request *request, const GError *error)
{
    if (g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED)) {
        return request_refuse_busy(request, error->message);
    }
    return g_error_matches(error, INGOT_ERROR, INGOT_ERROR_EXISTS) /* another request has it */
               ? request_refuse(request, MHD_HTTP_CONFLICT, "BLOB_UPLOAD_INVALID", error->message)
               : request_fail(request, "BLOB_UPLOAD_UNKNOWN", error);
}

/* How far it has come. */
static enum MHD_Result tell(Request *request, const char *name, const char *id)
{
    g_autoptr(GError) error = NULL;
    guint64 size;
    return storage_upload_size(request->server->storage, id, &size, &error)
               ? state(request, MHD_HTTP_NO_CONTENT, name, id, size)
               : api_upload_fail(request, error);
}

/* The same behind a chunk, which is on the disk. */
static enum MHD_Result settle(Request *request, const char *name, const char *id)
{
    g_autoptr(GError) error = NULL;
    guint64 size;
    return storage_upload_settle(request->server->storage, id, request->upload_turn, &size, &error)
               ? state(request, MHD_HTTP_ACCEPTED, name, id, size)
               : api_upload_fail(request, error);
}

/* What went wrong while the body came; what came before stays. */
static enum MHD_Result broken(Request *request)
{
    guint64 most = request->server->upload_max;
    if (most > 0 && request->upload_at > most) {
        return request_refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "SIZE_INVALID", request->failure->message);
    }
    if (g_error_matches(request->failure, INGOT_ERROR, INGOT_ERROR_INVALID)) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "BLOB_UPLOAD_INVALID", request->failure->message);
    }
    return api_upload_fail(request, request->failure);
}

static gboolean has_left(gpointer request)
{
    return request_gone(request);
}

/* All of it is here: the client has but to end it again, for as long as that takes. */
static enum MHD_Result still_hashes(Request *request, const char *message)
{
    enum MHD_Result result = request_refuse_busy(request, message);
    MHD_add_response_header(request->response, "Ingot-Hashing", "yes");
    return result;
}

static enum MHD_Result finish(Request *request, const char *name, const char *id)
{
    g_autoptr(GError) error = NULL;
    OciDigest digest;
    const StorageActor actor = api_actor(request);
    const char *text = request_query(request, "digest");
    if (oci_digest_parse(text, &digest, &error) &&
        storage_upload_finish_named(request->server->storage, &actor, id, request->upload_turn, name, &digest, has_left,
                                    request, &error)) {
        return created(request, name, text);
    }
    if (g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID)) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "DIGEST_INVALID", error->message);
    }
    if (g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED)) {
        return still_hashes(request, error->message);
    }
    return api_upload_fail(request, error);
}

/* Where the caller may not pull, it is as if there were nothing. */
static gboolean mount_from(Request *request, const char *from, const char *name, const IngotDigest *digest)
{
    const StorageActor actor = api_actor(request);
    return access_may(request, ACCESS_PULL, from) &&
           storage_mount(request->server->storage, &actor, from, name, digest, NULL);
}

/* From any repository that has it. */
static gboolean mount_any(Request *request, const char *name, const IngotDigest *digest)
{
    g_auto(GStrv) holders = storage_holders(request->server->storage, digest, NULL);
    for (guint i = 0; holders != NULL && holders[i] != NULL; i++) {
        if (mount_from(request, holders[i], name, digest)) {
            return TRUE;
        }
    }
    return FALSE;
}

/* From the repository that is named; from any where none is. */
static gboolean mount(Request *request, const char *name, const char *digest_text)
{
    IngotDigest digest;
    const char *from = request_query(request, "from");
    if (!storage_digest(request->server->storage, digest_text, &digest, NULL)) {
        return FALSE;
    }
    return from == NULL ? mount_any(request, name, &digest)
                        : ingot_name_check(from, NULL) && mount_from(request, from, name, &digest);
}

enum MHD_Result api_uploads(Request *request, const ApiRoute *route)
{
    if (request->failure != NULL) {
        return broken(request);
    }
    const char *mounted = request_query(request, "mount");
    if (mounted != NULL && mount(request, route->name, mounted)) {
        return created(request, route->name, mounted);
    }
    if (request->upload != NULL) {
        return finish(request, route->name, request->upload);
    }
    enum MHD_Result result = MHD_YES;
    g_autofree char *id = new_upload(request, route->name, FALSE, &result);
    return id == NULL ? result : state(request, MHD_HTTP_ACCEPTED, route->name, id, 0);
}

static gboolean may_see(const char *repository, gpointer request)
{
    return access_may(request, ACCESS_PULL, repository);
}

/* Bytes of the blob that a list of frames makes; of a malformed one any number. */
static guint64 offered_size(const GByteArray *list)
{
    guint64 sum = 0;
    for (gsize at = 36; at <= list->len; at += 36) {
        guint32 length;
        memcpy(&length, list->data + at - sizeof length, sizeof length);
        sum += GUINT32_FROM_LE(length);
    }
    return sum;
}

/* Our own addition: the client tells the frames that the blob is made of, we which of them are missing (storage.h). */
static enum MHD_Result offer(Request *request, const char *name, const char *id)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) missing = g_byte_array_new();
    if (request->received > API_FRAMES_MAX) {
        return request_refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "SIZE_INVALID", "a list of frames may have 64 MiB");
    }
    if (!storage_has_quota(request->server->storage, name, offered_size(request->body), &error)) {
        return request_fail(request, "NAME_UNKNOWN", error);
    }
    if (storage_upload_offer(request->server->storage, id, request->body->data, request->body->len,
                             access_may_all(request) ? NULL : may_see, request, missing, &error)) {
        g_autoptr(GBytes) bytes = g_byte_array_free_to_bytes(g_steal_pointer(&missing));
        return request_answer_bytes(request, MHD_HTTP_OK, "application/octet-stream", bytes, NULL);
    }
    if (g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID)) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "BLOB_UPLOAD_INVALID", error->message);
    }
    if (g_error_matches(error, INGOT_ERROR, INGOT_ERROR_LIMIT)) {
        return request_refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "SIZE_INVALID", error->message);
    }
    return api_upload_fail(request, error);
}

/* Whether the chunk is as long as its head promised: where the body says nothing of its own length, it may have been
 * cut short on the way without a sign. */
static gboolean is_whole_chunk(const Request *request)
{
    return request->upload_end == 0 || request->upload_at == request->upload_end ||
           (request->upload_at < request->upload_end && request->failure != NULL);
}

enum MHD_Result api_upload(Request *request, const ApiRoute *route)
{
    g_autoptr(GError) error = NULL;
    if (!is_whole_chunk(request)) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "SIZE_INVALID", "the range has another length");
    }
    if (request->failure != NULL) {
        return broken(request);
    }
    if (strcmp(request->method, "PATCH") == 0) {
        return settle(request, route->name, route->reference);
    }
    if (strcmp(request->method, "PUT") == 0) {
        return finish(request, route->name, route->reference);
    }
    if (strcmp(request->method, "POST") == 0) {
        return offer(request, route->name, route->reference);
    }
    if (strcmp(request->method, "GET") == 0) {
        return tell(request, route->name, route->reference);
    }
    return storage_upload_drop(request->server->storage, route->reference, &error)
               ? request_answer(request, MHD_HTTP_NO_CONTENT, NULL, NULL, 0, NULL)
               : api_upload_fail(request, error);
}
