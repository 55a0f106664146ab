#include "server/boxes/boxwrite.h"

#include <ingot/error.h>
#include <string.h>

#include "server/auth/access.h"
#include "server/boxes/boxbody.h"
#include "server/boxes/boxchange.h"
#include "server/boxes/boxgroup.h"
#include "server/boxes/boxprovider.h"
#include "server/boxes/boxrelease.h"
#include "server/boxes/boxupload.h"
#include "server/server.h"
#include "server/storage/changes.h"
#include "server/storage/channels.h"

#define RELEASE_WAIT (10 * G_TIME_SPAN_MINUTE) /* for the boxes of a version that are being taken in */

/* --- boxes --- */

/* The API's older clients call the flag is_private. */
static gboolean read_said(const json_t *body, BoxSaid *said, GError **error)
{
    const json_t *other = NULL;
    gboolean ok = box_body_text(body, "short_description", &said->short_description, error) &&
                  box_body_text(body, "description", &said->description, error) &&
                  box_body_flag(body, "is_private", &said->private, error) &&
                  box_body_flag(body, "private", &other, error);
    said->private = said->private == NULL ? other : said->private;
    return ok;
}

/* "ORG/BOX" of the body; NULL: it is not told. Free it. */
static char *read_tag(const json_t *body)
{
    const char *org = json_string_value(json_object_get(body, "username"));
    const char *name = json_string_value(json_object_get(body, "name"));
    return org == NULL || name == NULL ? NULL : *org == '\0' ? g_strdup(name) : g_strconcat(org, "/", name, NULL);
}

enum MHD_Result box_create(Request *request, BoxCall *call, const json_t *body)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *tag = read_tag(body);
    BoxSaid said = {.tag = tag};
    if (tag == NULL) {
        return box_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT, "'username' and 'name' of the box are expected");
    }
    g_clear_pointer(&call->path, box_path_free);
    if (!read_said(body, &said, &error) || (call->path = box_path_parse(tag, &error)) == NULL) {
        return box_fail(request, error);
    }
    if (call->path->kind != BOX_PATH_BOX) {
        return box_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT, "'%s' can't be the name of a box", tag);
    }
    if (!access_may(request, ACCESS_PUSH, call->path->name)) {
        return box_deny(request, call->path->name, ACCESS_PUSH);
    }
    call->path->kind = BOX_PATH_BOXES; /* where it is created */
    const StorageActor actor = box_actor(request);
    return box_change(request->server->storage, &actor, call->path->name, &said, TRUE, &error)
               ? box_tell(request, call)
               : box_fail(request, error);
}

enum MHD_Result box_write_new(Request *request, BoxCall *call)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(json_t) body = box_body(request, "box", &error);
    return body == NULL ? box_fail(request, error) : box_create(request, call, body);
}

static enum MHD_Result change_box(Request *request, const BoxCall *call, const json_t *body)
{
    g_autoptr(GError) error = NULL;
    BoxSaid said = {0};
    const StorageActor actor = box_actor(request);
    const char *name = json_string_value(json_object_get(body, "name")), *slash = strrchr(call->path->shown, '/');
    if (name != NULL && g_ascii_strcasecmp(name, slash == NULL ? call->path->shown : slash + 1) != 0) {
        return box_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT, "%s: a box keeps its name", call->path->shown);
    }
    return read_said(body, &said, &error) &&
                   box_change(request->server->storage, &actor, call->path->name, &said, FALSE, &error)
               ? box_tell(request, call)
               : box_fail(request, error);
}

/* --- versions --- */

/* A channel is no version's tag, though an older record may have its name. */
static gboolean find_tag(Storage *storage, const char *name, const char *version)
{
    IngotDigest digest;
    return !storage_is_channel(storage, name, version) && storage_find_tag(storage, name, version, &digest, NULL);
}

static gboolean has_tag(const Request *request, const BoxPath *path)
{
    return find_tag(request->server->storage, path->name, path->version);
}

/* Whether the version was released, and its tag is removed. */
static gboolean is_gone(const Request *request, const BoxPath *path, const BoxRecords *records)
{
    return box_needs_tag(records, path->version) && !has_tag(request, path);
}

/* A version that is gone may be made anew, as one that is pushed may. */
static gboolean drop_gone(const Request *request, const StorageActor *actor, const BoxPath *path, GError **error)
{
    g_autoptr(BoxRecords) records = box_records_read(request->server->storage, path->name, error);
    return records != NULL &&
           (!is_gone(request, path, records) ||
            box_drop_version(request->server->storage, actor, path->name, path->version, records, error));
}

static enum MHD_Result create_version(Request *request, BoxCall *call, const json_t *body)
{
    g_autoptr(GError) error = NULL;
    const json_t *description;
    const StorageActor actor = box_actor(request);
    const char *version = json_string_value(json_object_get(body, "version"));
    if (version == NULL) {
        return box_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT, "the 'version' is expected");
    }
    if (!box_version_check(version, &error) || !box_body_text(body, "description", &description, &error)) {
        return box_fail(request, error);
    }
    call->path->version = g_strdup(version);
    if (has_tag(request, call->path)) {
        return box_refuse(request, MHD_HTTP_CONFLICT, "%s: version %s already exists", call->path->shown, version);
    }
    return drop_gone(request, &actor, call->path, &error) &&
                   box_change_version(request->server->storage, &actor, call->path->name, version, description, NULL,
                                      TRUE, &error)
               ? box_tell(request, call)
               : box_fail(request, error);
}

/* What was pushed by other means has no record until something is said of it. */
static enum MHD_Result change_version(Request *request, const BoxCall *call, const json_t *body)
{
    g_autoptr(GError) error = NULL;
    const json_t *description;
    const StorageActor actor = box_actor(request);
    const BoxPath *path = call->path;
    g_autoptr(BoxRecords) records = box_records_read(request->server->storage, path->name, &error);
    const char *version = json_string_value(json_object_get(body, "version"));
    if (version != NULL && strcmp(version, path->version) != 0) {
        return box_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT, "%s %s: a version keeps its number", path->shown,
                          path->version);
    }
    if (records == NULL || !box_body_text(body, "description", &description, &error)) {
        return box_fail(request, error);
    }
    if (box_records_version(records, path->version) == NULL && !has_tag(request, path)) {
        return box_refuse(request, MHD_HTTP_NOT_FOUND, "%s has no version %s", path->shown, path->version);
    }
    return box_change_version(request->server->storage, &actor, path->name, path->version, description, NULL, FALSE,
                              &error)
               ? box_tell(request, call)
               : box_fail(request, error);
}

/* Without a record a version is there by its tag alone, which is to be released. */
static gboolean is_released(const Request *request, const BoxPath *path, const BoxRecords *records)
{
    return box_records_version(records, path->version) == NULL ? has_tag(request, path)
                                                               : box_has_status(records, path->version, "active");
}

/* A box that came later, and that a failure has kept from its version. */
static gboolean has_draft(const Request *request, const BoxPath *path, const BoxRecords *records)
{
    const GPtrArray *providers = box_records_providers(records, path->version);
    for (guint i = 0; providers != NULL && i < providers->len; i++) {
        const BoxProviderRecord *one = g_ptr_array_index(providers, i);
        const BoxProviderKey key = {one->version, one->provider, one->architecture};
        if (json_object_get(one->body, "image") != NULL && box_is_draft(request->server->storage, path->name, &key)) {
            return TRUE;
        }
    }
    return FALSE;
}

static enum MHD_Result release_version(Request *request, const BoxCall *call)
{
    g_autoptr(GError) error = NULL;
    const BoxPath *path = call->path;
    const StorageActor actor = box_actor(request);
    g_autoptr(BoxRecords) records = box_records_read(request->server->storage, path->name, &error);
    if (records == NULL) {
        return box_fail(request, error);
    }
    gboolean released = is_released(request, path, records);
    if (released && !has_draft(request, path, records)) {
        return box_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT, "%s: version %s has already been released",
                          path->shown, path->version);
    }
    if (box_records_version(records, path->version) == NULL) {
        return box_refuse(request, MHD_HTTP_NOT_FOUND, "%s has no version %s", path->shown, path->version);
    }
    return (released ? box_release_ready : box_release)(request->server->storage, &actor, path->name, path->version,
                                                        &error)
               ? box_tell(request, call)
               : box_fail(request, error);
}

/* Its tag stays, for those who have it by its digest; no catalogue has it. */
static enum MHD_Result revoke_version(Request *request, const BoxCall *call)
{
    g_autoptr(GError) error = NULL;
    const BoxPath *path = call->path;
    const StorageActor actor = box_actor(request);
    g_autoptr(BoxRecords) records = box_records_read(request->server->storage, path->name, &error);
    if (records == NULL) {
        return box_fail(request, error);
    }
    if (!is_released(request, path, records)) {
        return box_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT, "%s: version %s is not released", path->shown,
                          path->version);
    }
    return box_change_version(request->server->storage, &actor, path->name, path->version, NULL, "revoked", FALSE,
                              &error)
               ? box_tell(request, call)
               : box_fail(request, error);
}

/* --- removing --- */

/* What is released goes by the right to delete, and so does a tag, whatever the version's record says. */
static gboolean may_remove(const Request *request, const BoxPath *path, const BoxRecords *records)
{
    return access_may(request, ACCESS_DELETE, path->name) ||
           (path->version != NULL && !has_tag(request, path) && !is_released(request, path, records) &&
            !box_has_status(records, path->version, "revoked"));
}

static gboolean remove_version(Storage *storage, const StorageActor *actor, const char *name, const char *version,
                               const BoxRecords *records, GError **error)
{
    const GPtrArray *providers = box_records_providers(records, version);
    for (guint i = 0; providers != NULL && i < providers->len; i++) {
        const BoxProviderRecord *one = g_ptr_array_index(providers, i);
        const BoxProviderKey key = {one->version, one->provider, one->architecture};
        if (!box_draft_drop(storage, actor, name, &key, error)) {
            return FALSE;
        }
    }
    return (!find_tag(storage, name, version) || storage_remove_tag(storage, actor, name, version, error)) &&
           box_drop_version(storage, actor, name, version, records, error);
}

static gboolean remove_provider(Storage *storage, const StorageActor *actor, const BoxPath *path, GError **error)
{
    const BoxProviderKey key = {path->version, path->provider, path->architecture};
    return box_draft_drop(storage, actor, path->name, &key, error) &&
           box_drop_provider(storage, actor, path->name, &key, error);
}

/* Versions that are in the box's list, and so are versions of a box. */
static gboolean remove_box(Request *request, const StorageActor *actor, const VagrantBox *box, const char *name,
                           const BoxRecords *records, GError **error)
{
    for (guint i = 0; i < box->versions->len; i++) {
        const VagrantVersion *version = g_ptr_array_index(box->versions, i);
        if (!remove_version(request->server->storage, actor, name, version->version, records, error)) {
            return FALSE;
        }
    }
    return box_drop(request->server->storage, actor, name, error);
}

/* The answer is what was there. */
static enum MHD_Result remove_part(Request *request, const BoxCall *call)
{
    g_autoptr(GError) error = NULL;
    enum MHD_Result result;
    const BoxPath *path = call->path;
    const StorageActor actor = box_actor(request);
    g_autoptr(BoxRecords) records = box_records_read(request->server->storage, path->name, &error);
    g_autoptr(BoxList) list = records == NULL ? NULL : box_call_list(request, call, &result);
    if (list == NULL) {
        return records == NULL ? box_fail(request, error) : result;
    }
    if (!may_remove(request, path, records)) {
        return box_deny(request, path->name, ACCESS_DELETE);
    }
    if (path->version != NULL && vagrant_box_version(list->box, path->version) == NULL) {
        return box_refuse(request, MHD_HTTP_NOT_FOUND, "%s has no version %s", path->shown, path->version);
    }
    if (path->kind == BOX_PATH_GROUP) {
        return box_group_remove(request, call, records);
    }
    if (path->kind == BOX_PATH_PROVIDER) {
        const BoxProviderRecord *record = box_provider_find(request, call, records, &result);
        if (record == NULL) {
            return result;
        }
        if (box_provider_is_kept(request->server->storage, path->name, records, record)) {
            return box_provider_refuse(request, path);
        }
    }
    const BoxJson by = box_call_json(request, call);
    g_autoptr(json_t) body = box_dialect(request)->removed(request, &by, path, list->box);
    Storage *storage = request->server->storage;
    gboolean ok = path->kind == BOX_PATH_PROVIDER ? remove_provider(storage, &actor, path, &error)
                  : path->kind == BOX_PATH_VERSION
                      ? remove_version(storage, &actor, path->name, path->version, records, &error)
                      : remove_box(request, &actor, list->box, path->name, records, &error);
    return ok ? box_answer(request, body) : box_fail(request, error);
}

/* --- which --- */

/* What is kept is read again only when something was committed since the last look. */
static gboolean is_still_coming(Storage *storage, BoxCall *call)
{
    guint64 sequence = storage_sequence(storage);
    if (call->waits && sequence == call->sequence) {
        return TRUE;
    }
    g_autoptr(BoxRecords) records = box_records_read(storage, call->path->name, NULL);
    call->waits = records != NULL && box_is_coming(records, call->path->version, call->path->provider);
    call->sequence = sequence;
    return call->waits;
}

/* Whether a release, or the answer to a callback, waits for a box that is being taken in. */
static gboolean has_to_wait(const Request *request, BoxCall *call)
{
    BoxPathKind kind = call->path->kind;
    gint64 most = kind == BOX_PATH_RELEASE ? RELEASE_WAIT : kind == BOX_PATH_UPLOADED ? BOX_WAIT : 0;
    return strcmp(request->method, "PUT") == 0 && g_get_monotonic_time() < request->start + most &&
           is_still_coming(request->server->storage, call);
}

Pool box_write_move(Request *request, const RouteMatch *match)
{
    BoxCall *call = request->kept;
    (void)match;
    if (has_to_wait(request, call)) {
        request_again(request, BOX_LOOK);
    }
    return POOL_WRITE;
}

static const char *word_of(BoxPathKind kind)
{
    return kind == BOX_PATH_BOX                                    ? "box"
           : kind == BOX_PATH_VERSIONS || kind == BOX_PATH_VERSION ? "version"
                                                                   : "provider";
}

static gboolean is_of_gone(const Request *request, const BoxPath *path)
{
    g_autoptr(BoxRecords) records = path->version == NULL || has_tag(request, path)
                                        ? NULL
                                        : box_records_read(request->server->storage, path->name, NULL);
    return records != NULL && is_gone(request, path, records);
}

static enum MHD_Result post_part(Request *request, BoxCall *call, const json_t *body)
{
    switch (call->path->kind) {
    case BOX_PATH_VERSIONS:
        return create_version(request, call, body);
    case BOX_PATH_GROUPS:
        return box_group_create(request, call, body);
    case BOX_PATH_PROVIDERS:
        return box_provider_create(request, call, body);
    default:
        return box_refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "POST is not allowed here");
    }
}

static enum MHD_Result put_part(Request *request, const BoxCall *call, const json_t *body)
{
    switch (call->path->kind) {
    case BOX_PATH_BOX:
        return change_box(request, call, body);
    case BOX_PATH_VERSION:
        return change_version(request, call, body);
    case BOX_PATH_RELEASE:
        return release_version(request, call);
    case BOX_PATH_REVOKE:
        return revoke_version(request, call);
    case BOX_PATH_GROUP:
        return box_group_change(request, call, body);
    case BOX_PATH_PROVIDER:
        return box_provider_change(request, call, body);
    case BOX_PATH_UPLOADED:
        return box_provider_uploaded(request, call);
    default:
        return box_refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "PUT is not allowed here");
    }
}

static gboolean may_go(BoxPathKind kind)
{
    return kind == BOX_PATH_BOX || kind == BOX_PATH_VERSION || kind == BOX_PATH_GROUP || kind == BOX_PATH_PROVIDER;
}

enum MHD_Result box_write_part(Request *request, BoxCall *call, const json_t *body)
{
    const BoxPath *path = call->path;
    if (is_of_gone(request, path)) {
        return box_refuse(request, MHD_HTTP_NOT_FOUND, "%s has no version %s", path->shown, path->version);
    }
    if (strcmp(request->method, "POST") == 0) {
        return post_part(request, call, body);
    }
    if (strcmp(request->method, "PUT") == 0) {
        return put_part(request, call, body);
    }
    return may_go(path->kind) ? remove_part(request, call)
                              : box_refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "DELETE is not allowed here");
}

enum MHD_Result box_write(Request *request, BoxCall *call)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(json_t) body = box_body(request, word_of(call->path->kind), &error);
    return body == NULL ? box_fail(request, error) : box_write_part(request, call, body);
}
