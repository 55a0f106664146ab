/* Blobs: whole, by range, by a list of ranges, and their deletion. */
#include <ingot/error.h>
#include <string.h>

#include "server/auth/access.h"
#include "server/http/client.h"
#include "server/http/range.h"
#include "server/http/serve.h"
#include "server/http/unread.h"
#include "server/oci/api.h"
#include "server/server.h"
#include "server/storage/pulls.h"

#define FRAME_ENTRY 36u                            /* bytes in a list of frames */
#define FRAMES_MOST (API_FRAMES_MAX / FRAME_ENTRY) /* no list is longer, in either direction */
#define FRAMES_FEW 16384u                          /* of so many no pool is kept long */
#define QUICK_MAX ((guint64)1 << 20)               /* bytes of a range whose pieces an event loop looks through */

static gssize read_blob(gpointer source, guint64 offset, void *buffer, gsize size, GError **error)
{
    return storage_blob_read(source, offset, buffer, size, error);
}

static gboolean run_of_blob(gpointer source, guint64 offset, guint64 length, int *fd, guint64 *at)
{
    return storage_blob_run(source, offset, length, fd, at);
}

static gsize blob_at_once(gpointer source, guint64 offset, void *buffer, gsize size)
{
    return storage_blob_read_at_once(source, offset, buffer, size);
}

static void unref_blob(gpointer source)
{
    storage_blob_unref(source);
}

static gboolean quick_run_of_blob(gpointer source, guint64 offset, guint64 length, int *fd, guint64 *at)
{
    return length <= QUICK_MAX && storage_blob_run(source, offset, length, fd, at);
}

static const BodyKind whole_kind = {
    .read = read_blob, .run = run_of_blob, .at_once = blob_at_once, .unref = unref_blob};
static const BodyKind quick_kind = {.run = quick_run_of_blob, .at_once = blob_at_once, .unref = unref_blob};

/* Takes the blob. */
static enum MHD_Result answer_blob(Request *request, const ApiRoute *route, StorageBlob *blob, const BodyKind *kind)
{
    g_autofree char *tag = g_strconcat("\"", route->reference, "\"", NULL);
    guint count = storage_blob_count(blob);
    g_autofree char *frames = count < 2 || count > FRAMES_MOST
                                  ? NULL
                                  : g_strconcat("/v2/", route->name, "/blobs/", route->reference, "?frames=1", NULL);
    g_autofree char *ranges = g_strconcat("/v2/", route->name, "/blobs/", route->reference, NULL);
    const ServeHeaders headers = {.type = "application/octet-stream",
                                  .tag = tag,
                                  .keep = access_keep(request),
                                  .digest = route->reference,
                                  .frames = frames,
                                  .ranges = ranges};
    return serve(request, body_new(kind, blob, storage_blob_size(blob)), &headers);
}

static gboolean has_left(gpointer request)
{
    return request_gone(request);
}

/* Our own addition: the frames that the blob is made of, so that another registry copies those alone that it lacks. */
static enum MHD_Result answer_frames(Request *request, StorageBlob *blob)
{
    g_autoptr(GError) error = NULL;
    if (storage_blob_count(blob) > FRAMES_MOST) {
        return request_refuse(request, MHD_HTTP_NOT_FOUND, "UNSUPPORTED", "the blob has too many frames for a list");
    }
    Unread *room = unread_reserve(client_network(request), (gsize)storage_blob_count(blob) * FRAME_ENTRY);
    if (room == NULL) {
        return request_refuse_busy(request, "too many large answers are being read from this registry; try again");
    }
    g_autoptr(GBytes) frames = storage_blob_frames(blob, has_left, request, &error);
    unread_end(room);
    if (frames == NULL) {
        return g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED)
                   ? MHD_NO
                   : request_fail(request, "BLOB_UNKNOWN", error);
    }
    return request_answer_bytes(request, MHD_HTTP_OK, "application/octet-stream", frames, "Cache-Control",
                                access_keep(request), NULL);
}

static gssize read_nothing(gpointer source, guint64 offset, void *buffer, gsize size, GError **error)
{
    (void)source, (void)offset, (void)buffer, (void)size;
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "the blob is not here");
    return -1;
}

static void unref_nothing(gpointer source)
{
    (void)source;
}

/* HEAD of a blob that only an upstream has: that is no reason to copy it. */
static enum MHD_Result head_elsewhere(Request *request, const ApiRoute *route, const OciDigest *named,
                                      const GError *error)
{
    static const BodyKind kind = {.read = read_nothing, .unref = unref_nothing};
    guint64 size;
    FetchOutcome outcome = through_size(request->server->through, route->name, named, &size);
    if (outcome != FETCH_DONE) {
        return api_fail_there(request, outcome, "BLOB_UNKNOWN", error);
    }
    g_autofree char *tag = g_strdup_printf("\"%s\"", route->reference);
    const ServeHeaders headers = {
        .type = "application/octet-stream", .tag = tag, .keep = access_keep(request), .digest = route->reference};
    return serve(request, body_new(&kind, NULL, size), &headers);
}

static gssize read_cold(gpointer source, guint64 offset, void *buffer, gsize size, GError **error)
{
    return cold_reader_read(source, offset, buffer, size, error);
}

static void free_cold(gpointer source)
{
    cold_reader_free(source);
}

/* While it is copied from the upstream. */
static enum MHD_Result serve_cold(Request *request, const ApiRoute *route, ColdReader *reader)
{
    static const BodyKind kind = {.read = read_cold, .unref = free_cold, .far = TRUE};
    g_autofree char *tag = g_strdup_printf("\"%s\"", route->reference);
    const ServeHeaders headers = {
        .type = "application/octet-stream", .tag = tag, .keep = access_keep(request), .digest = route->reference};
    return serve(request, body_new(&kind, reader, cold_reader_size(reader)), &headers);
}

/* Sees to it that the blob is here, or on its way. */
static FetchOutcome fetch(Request *request, const ApiRoute *route, const OciDigest *named, ColdReader **reader)
{
    Through *through = request->server->through;
    return strcmp(request->method, "HEAD") == 0       ? FETCH_ABSENT
           : request_query(request, "frames") != NULL ? through_blob(through, route->name, named)
                                                      : through_open(through, route->name, named, reader);
}

static enum MHD_Result get(Request *request, const ApiRoute *route, const OciDigest *named)
{
    g_autoptr(GError) error = NULL;
    IngotDigest digest;
    gboolean head = strcmp(request->method, "HEAD") == 0;
    g_autoptr(ColdReader) reader = NULL;
    FetchOutcome outcome = fetch(request, route, named, &reader);
    if (reader != NULL) {
        return serve_cold(request, route, g_steal_pointer(&reader));
    }
    g_autoptr(StorageBlob) blob = storage_resolve(request->server->storage, named, &digest, &error)
                                      ? storage_blob(request->server->storage, route->name, &digest, &error)
                                      : NULL;
    gboolean lost = blob == NULL && g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT);
    if (head && (lost || (blob != NULL && storage_blob_damaged(blob)))) {
        /* So that whoever asks before a push brings it again, or a cache gets it, which is what mends it. */
        g_clear_pointer(&blob, storage_blob_unref);
        g_clear_error(&error);
        g_set_error(&error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "a part of the blob is damaged");
    }
    if (blob == NULL) {
        return head && g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)
                   ? head_elsewhere(request, route, named, error)
                   : api_fail_there(request, outcome, "BLOB_UNKNOWN", error);
    }
    if (head) { /* a push that asks so counts on it; whoever may only pull waits for no commit, and makes nobody wait */
        (access_may(request, ACCESS_PUSH, route->name) ? pulls_count_on : pulls_ask)(request->server->storage,
                                                                                     route->name, &digest);
    }
    if (request_query(request, "frames") != NULL) {
        return answer_frames(request, blob);
    }
    return answer_blob(request, route, g_steal_pointer(&blob), &whole_kind);
}

Pool api_blob_pool(const Request *request, const ApiRoute *route)
{
    IngotDigest digest;
    Storage *storage = request->server->storage;
    g_autoptr(StorageBlob) blob =
        request_query(request, "frames") != NULL && storage_digest(storage, route->reference, &digest, NULL)
            ? storage_blob(storage, route->name, &digest, NULL)
            : NULL;
    return blob != NULL && storage_blob_count(blob) > FRAMES_FEW ? POOL_SLOW : POOL_READ;
}

enum MHD_Result api_blob_quick(Request *request, const ApiRoute *route)
{
    IngotDigest digest;
    if (strcmp(request->method, "GET") != 0 || request->server->through != NULL ||
        request_query(request, "frames") != NULL ||
        !storage_digest_known(request->server->storage, route->reference, &digest)) {
        return MHD_YES;
    }
    StorageBlob *blob = storage_blob_known(request->server->storage, route->name, &digest);
    return blob == NULL ? MHD_YES : answer_blob(request, route, blob, &quick_kind);
}

/* Our own addition: many ranges by one request. What only an upstream has is not waited for here: its client asks for
 * ranges as it asks any registry. */
enum MHD_Result api_blob_ranges(Request *request, const ApiRoute *route)
{
    g_autoptr(GError) error = NULL;
    IngotDigest digest;
    Storage *storage = request->server->storage;
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(ByteRange));
    if (request->received > API_RANGES_MAX) {
        return request_refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "SIZE_INVALID", "a list of ranges may have 64 KiB");
    }
    if (!storage_digest(storage, route->reference, &digest, &error)) {
        return api_refuse_digest(request, error);
    }
    g_autoptr(StorageBlob) blob = storage_blob(storage, route->name, &digest, &error);
    if (blob == NULL) {
        return request_fail(request, "BLOB_UNKNOWN", error);
    }
    guint64 size = storage_blob_size(blob);
    if (!range_parse_list(request->body->data, request->body->len, size, ranges)) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "SIZE_INVALID",
                              "the body lists ranges of the blob, which ascend: offset, length (64 bits each)");
    }
    return request_answer_joined(request, body_new(&whole_kind, g_steal_pointer(&blob), size), ranges, "Content-Type",
                                 "application/octet-stream", "Cache-Control", "no-store", "X-Accel-Buffering", "no",
                                 NULL);
}

static enum MHD_Result del(Request *request, const ApiRoute *route, const IngotDigest *digest)
{
    g_autoptr(GError) error = NULL;
    Storage *storage = request->server->storage;
    const StorageActor actor = api_actor(request);
    if (access_may(request, ACCESS_PROMOTE, route->name)
            ? storage_remove_blob(storage, &actor, route->name, digest, &error)
            : storage_remove_beside_channels(storage, &actor, route->name, digest, FALSE, &error)) {
        return request_answer(request, MHD_HTTP_ACCEPTED, NULL, NULL, 0, NULL);
    }
    if (g_error_matches(error, INGOT_ERROR, INGOT_ERROR_EXISTS)) { /* it is a manifest, and an index names it */
        return request_refuse(request, MHD_HTTP_CONFLICT, "DENIED", error->message);
    }
    return request_fail(request, "BLOB_UNKNOWN", error);
}

enum MHD_Result api_blob(Request *request, const ApiRoute *route)
{
    g_autoptr(GError) error = NULL;
    IngotDigest digest;
    OciDigest named;
    if (!oci_digest_parse(route->reference, &named, &error)) {
        return api_refuse_digest(request, error);
    }
    if (request_is_read(request)) {
        return get(request, route, &named);
    }
    return storage_resolve(request->server->storage, &named, &digest, &error) ? del(request, route, &digest)
                                                                              : api_refuse_digest(request, error);
}
