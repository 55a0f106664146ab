#include "server/boxes/boxupload.h"

#include <ingot/error.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "server/auth/access.h"
#include "server/boxes/boxapi.h"
#include "server/boxes/boxbody.h"
#include "server/boxes/boxes.h"
#include "server/boxes/boxprovider.h"
#include "server/boxes/boxqueue.h"
#include "server/boxes/boxrelease.h"
#include "server/http/intake.h"
#include "server/server.h"
#include "server/views/pass.h"

#define PATH "/box-uploads/"
#define STEP (4u << 20) /* bytes that come before it is asked again whether there is room */

/* A box that comes. */
typedef struct {
    char *id;
    BoxPath *path;
    char *user;      /* who began it, and so whose the box is: a pass tells nobody; NULL: nobody is known */
    IngotFd fd;      /* of its part; -1: none is open, and none is this request's */
    guint64 size;    /* bytes that have come */
    guint64 told;    /* by its head; 0: chunks */
    guint64 allowed; /* up to which size there was room */
    GChecksum *sum;  /* of the kind that its provider told; NULL: it told none */
    char *expected;  /* hex, in small letters */
    gboolean whole;  /* its file is, and waits to be taken in */
    gboolean refused;
    gint64 until; /* monotonic: the answer waits for that */
    BoxFiles *files;
} Upload;

static void upload_free(gpointer data)
{
    Upload *upload = data;
    if (upload->fd >= 0) {
        close(upload->fd);
    }
    if (upload->fd >= 0 && !upload->whole) {
        boxfiles_drop_part(upload->files, upload->id);
    }
    g_clear_pointer(&upload->sum, g_checksum_free);
    g_clear_pointer(&upload->path, box_path_free);
    g_free(upload->expected);
    g_free(upload->user);
    g_free(upload->id);
    g_free(upload);
}

static BoxProviderKey key_of(const Upload *upload)
{
    return (BoxProviderKey){upload->path->version, upload->path->provider, upload->path->architecture};
}

/* --- the head --- */

static enum MHD_Result upload_check(Request *request, const RouteMatch *match)
{
    g_autoptr(GError) error = NULL;
    const char *slash = strchr(match->reference, '/');
    Upload *upload = g_new0(Upload, 1);
    upload->fd = -1;
    request_keep(request, upload, upload_free);
    upload->files = request->server->boxes->files;
    if (!pass_opens(request)) {
        return box_refuse(request, MHD_HTTP_UNAUTHORIZED,
                          "the pass of this URL has ended, or is another's: ask for a new one (GET …/upload)");
    }
    upload->id = slash == NULL ? NULL : g_strndup(match->reference, (gsize)(slash - match->reference));
    upload->path = slash == NULL ? NULL : box_path_parse(slash + 1, &error);
    return upload->path != NULL && boxfiles_is_id(upload->id) && upload->path->architecture != NULL &&
                   (upload->path->kind == BOX_PATH_UPLOAD || upload->path->kind == BOX_PATH_DIRECT)
               ? MHD_YES
               : box_refuse(request, MHD_HTTP_NOT_FOUND, "no such upload");
}

static gboolean check_size(const Request *request, guint64 size, GError **error)
{
    guint64 most = request->server->upload_max;
    if (most > 0 && size > most) {
        g_autofree char *shown = ingot_text_size(most);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT, "a box may have %s here (--max-upload)", shown);
        return FALSE;
    }
    return TRUE;
}

/* Whether a box of so many bytes has room in all that is kept and in its repository, beside the others that come there.
 */
static gboolean check_room(const Request *request, const Upload *upload, guint64 size, GError **error)
{
    Storage *storage = request->server->storage;
    const char *name = upload->path->name;
    boxfiles_reserve(upload->files, upload->id, size);
    gboolean ok = storage_has_quota(storage, name, boxfiles_bytes(upload->files, name), error) &&
                  storage_has_room(storage, boxfiles_bytes(upload->files, NULL), error);
    if (!ok) {
        boxfiles_reserve(upload->files, upload->id, upload->size);
    }
    return ok;
}

/* What the head says of its length; none: chunks. */
static gboolean check_length(const Request *request, Upload *upload, GError **error)
{
    guint64 size;
    const char *text = request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (text == NULL || !g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, &size, NULL)) {
        return TRUE;
    }
    upload->told = size;
    return check_size(request, size, error) && check_room(request, upload, size, error);
}

/* The record must have this upload still, and nothing may have come of it yet; a try that failed may be repeated. */
static gboolean read_record(const Request *request, Upload *upload, GError **error)
{
    g_autofree char *key = box_provider_key(upload->path->version, upload->path->provider, upload->path->architecture);
    GError *problem = NULL;
    g_autoptr(json_t) body =
        storage_record(request->server->storage, BOX_PROVIDER_RECORD, upload->path->name, key, &problem);
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    if (g_strcmp0(json_string_value(json_object_get(body, "upload")), upload->id) != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "no such upload, or another one has begun since");
        return FALSE;
    }
    if (box_provider_is_coming(body) || json_object_get(body, "image") != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "the box of this upload has come already");
        return FALSE;
    }
    upload->user = g_strdup(json_string_value(json_object_get(body, "uploader")));
    const char *type = json_string_value(json_object_get(body, "checksum_type"));
    const char *sum = json_string_value(json_object_get(body, "checksum"));
    if (type != NULL && sum != NULL) {
        upload->sum = g_checksum_new(box_checksum_type(type));
        upload->expected = g_strdup(sum);
    }
    return TRUE;
}

/* A length need not be said, and others come beside it: so it is asked again while it comes. */
static gboolean upload_take(Request *request, const void *data, gsize size, GError **error)
{
    Upload *upload = request->kept;
    guint64 at = upload->size;
    upload->size += size;
    if (!check_size(request, upload->size, error)) {
        return FALSE;
    }
    if (upload->size > upload->allowed) {
        if (!check_room(request, upload, MAX(upload->told, upload->size), error)) {
            return FALSE;
        }
        upload->allowed = upload->size + STEP;
    } else if (upload->size > upload->told) {
        boxfiles_reserve(upload->files, upload->id, upload->size);
    }
    if (upload->sum != NULL) {
        g_checksum_update(upload->sum, data, (gssize)size);
    }
    return ingot_file_pwrite(upload->fd, data, size, at, "the box", error);
}

/* Files that a user may have here. */
static guint most_of_user(const Request *request)
{
    guint most = request->server->uploads_per_user;
    return most == 0 ? BOX_FILES_OF_USER_MAX : MIN(most, BOX_FILES_OF_USER_MAX);
}

static enum MHD_Result upload_begin(Request *request, const RouteMatch *match)
{
    g_autoptr(GError) error = NULL;
    Upload *upload = request->kept;
    (void)match;
    if (!storage_writable(request->server->storage, &error) || !read_record(request, upload, &error)) {
        return box_fail(request, error);
    }
    const BoxFileOwner owner = {upload->path->name, upload->user};
    upload->fd = boxfiles_begin(upload->files, upload->id, &owner, most_of_user(request), &error);
    if (upload->fd < 0 || !check_length(request, upload, &error)) {
        return box_fail(request, error);
    }
    g_autofree char *strand = g_strconcat("box ", upload->id, NULL);
    request_stream(request, strand, upload_take, NULL);
    return MHD_YES;
}

/* --- the end --- */

static gboolean check_sum(Upload *upload, GError **error)
{
    if (upload->sum == NULL || strcmp(g_checksum_get_string(upload->sum), upload->expected) == 0) {
        return TRUE;
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "the box that came has the checksum %s, its provider tells %s",
                g_checksum_get_string(upload->sum), upload->expected);
    return FALSE;
}

static gboolean note(Request *request, const Upload *upload, const json_t *members, GError **error)
{
    StorageActor actor = box_actor(request);
    actor.name = upload->user;
    const BoxProviderKey key = key_of(upload);
    return box_change_upload(request->server->storage, &actor, upload->path->name, &key, upload->id, members, error);
}

/* All has come: from now on the box is taken in, whoever waits. */
static gboolean hand_on(Request *request, Upload *upload, GError **error)
{
    const BoxUploaded uploaded = {
        .name = upload->path->name, .user = upload->user, .key = key_of(upload), .upload = upload->id};
    g_autoptr(json_t) came = ingot_json_pack("{s:b, s:n, s:n}", "came", 1, "problem", "image");
    const char *name = upload->path->name;
    boxfiles_reserve(upload->files, upload->id, upload->size);
    if (!storage_has_quota(request->server->storage, name, boxfiles_bytes(upload->files, name), error) ||
        !boxfiles_end(upload->files, upload->id, upload->fd, error)) {
        return FALSE;
    }
    upload->whole = TRUE;
    upload->until = upload->path->kind == BOX_PATH_DIRECT ? 0 : g_get_monotonic_time() + BOX_WAIT;
    if (!note(request, upload, came, error)) {
        boxfiles_drop(upload->files, upload->id);
        return FALSE;
    }
    return boxqueue_add(request->server->boxes->queue, &uploaded, error);
}

/* A box that is not what its provider told is noted as one that can't be taken in is. */
static gboolean end_body(Request *request, Upload *upload, GError **error)
{
    g_autoptr(GError) problem = NULL;
    if (check_sum(upload, &problem)) {
        return hand_on(request, upload, error);
    }
    g_autoptr(json_t) members = ingot_json_pack("{s:s}", "problem", problem->message);
    upload->refused = TRUE;
    return note(request, upload, members, error);
}

/* Whether the box is still being taken in, for which the request waits. */
static gboolean is_coming(const Request *request, const Upload *upload)
{
    g_autofree char *key = box_provider_key(upload->path->version, upload->path->provider, upload->path->architecture);
    g_autoptr(json_t) body =
        storage_record(request->server->storage, BOX_PROVIDER_RECORD, upload->path->name, key, NULL);
    return g_strcmp0(json_string_value(json_object_get(body, "upload")), upload->id) == 0 &&
           box_provider_is_coming(body);
}

static Pool upload_move(Request *request, const RouteMatch *match)
{
    g_autoptr(GError) error = NULL;
    Upload *upload = request->kept;
    (void)match;
    intake_store(request); /* its last bytes */
    if (request->failure != NULL) {
        box_fail(request, request->failure);
    } else if (!upload->whole && !upload->refused && !end_body(request, upload, &error)) {
        box_fail(request, error);
    } else if (g_get_monotonic_time() < upload->until && is_coming(request, upload)) {
        request_again(request, BOX_LOOK);
    }
    return POOL_WRITE;
}

/* Clients show nothing of what is said here but the status: of a direct upload its callback tells what is wrong. */
static enum MHD_Result upload_answer(Request *request, const RouteMatch *match)
{
    const Upload *upload = request->kept;
    g_autofree char *key = box_provider_key(upload->path->version, upload->path->provider, upload->path->architecture);
    g_autoptr(json_t) body =
        storage_record(request->server->storage, BOX_PROVIDER_RECORD, upload->path->name, key, NULL);
    const char *problem = json_string_value(json_object_get(body, "problem"));
    (void)match;
    return problem != NULL && upload->path->kind != BOX_PATH_DIRECT
               ? box_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT, "%s", problem)
               : request_answer(request, MHD_HTTP_OK, "application/json", "{}", 2, NULL);
}

const Route box_upload_routes[] = {
    {.methods = "PUT",
     .pattern = PATH "*",
     .name = "box-upload",
     .pool = POOL_WRITE,
     .body_max = ROUTE_STREAMED,
     .check = upload_check,
     .begin = upload_begin,
     .move = upload_move,
     .answer = upload_answer},
    {0},
};
