#include "server/boxes/boxprovider.h"

#include <ingot/error.h>
#include <string.h>

#include "base/digests.h"
#include "server/auth/random.h"
#include "server/boxes/boxbody.h"
#include "server/boxes/boxclaims.h"
#include "server/boxes/boxfiles.h"
#include "server/boxes/boxlist.h"
#include "server/boxes/boxrelease.h"
#include "server/boxes/boxwrite.h"
#include "server/server.h"
#include "server/views/entries.h"
#include "server/views/pass.h"
#include "vagrant/providers.h"

/* --- what a body says --- */

GChecksumType box_checksum_type(const char *word)
{
    static const struct {
        const char *word;
        GChecksumType type;
    } types[] = {{"md5", G_CHECKSUM_MD5},
                 {"sha1", G_CHECKSUM_SHA1},
                 {"sha256", G_CHECKSUM_SHA256},
                 {"sha384", G_CHECKSUM_SHA384},
                 {"sha512", G_CHECKSUM_SHA512}};
    for (guint i = 0; i < G_N_ELEMENTS(types); i++) {
        if (g_ascii_strcasecmp(word, types[i].word) == 0) {
            return types[i].type;
        }
    }
    return (GChecksumType)-1;
}

/* Both or none; null and "" are none. */
static gboolean read_checksum(const json_t *body, json_t *members, GError **error)
{
    const json_t *sum, *type;
    if (!box_body_text(body, "checksum", &sum, error) || !box_body_text(body, "checksum_type", &type, error)) {
        return FALSE;
    }
    const char *hex = json_string_value(sum), *word = json_string_value(type);
    if (sum == NULL && type == NULL) {
        return TRUE;
    }
    if (hex == NULL || *hex == '\0' || word == NULL || *word == '\0') {
        json_object_set_new(members, "checksum", json_null());
        json_object_set_new(members, "checksum_type", json_null());
        return TRUE;
    }
    GChecksumType kind = box_checksum_type(word);
    if (kind == (GChecksumType)-1 || strspn(hex, "0123456789abcdefABCDEF") != strlen(hex) ||
        (gssize)strlen(hex) != 2 * g_checksum_type_get_length(kind)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "checksum_type is md5, sha1, sha256, sha384 or sha512, and checksum its hex digits");
        return FALSE;
    }
    g_autofree char *low = g_ascii_strdown(hex, -1), *kind_word = g_ascii_strdown(word, -1);
    ingot_json_set_string(members, "checksum", low);
    ingot_json_set_string(members, "checksum_type", kind_word);
    return TRUE;
}

static gboolean read_url(const json_t *body, json_t *members, GError **error)
{
    const json_t *value;
    if (!box_body_text(body, "url", &value, error)) {
        return FALSE;
    }
    const char *url = json_string_value(value);
    if (value == NULL) {
        return TRUE;
    }
    if (url == NULL || *url == '\0') {
        json_object_set_new(members, "url", json_null());
        return TRUE;
    }
    if (!g_str_has_prefix(url, "https://") && !g_str_has_prefix(url, "http://")) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "'url' is no http:// or https:// URL");
        return FALSE;
    }
    ingot_json_set_string(members, "url", url);
    return TRUE;
}

/* The URL that this server has told of a box that is here, and its checksum, come back where a client changes what it
 * has read: they are no word of a box that lies elsewhere. */
static void forget_own(const char *base, json_t *members)
{
    g_autofree char *own = g_strconcat(base, BOX_FORMATS, NULL);
    const char *url = json_string_value(json_object_get(members, "url"));
    if (url != NULL && g_str_has_prefix(url, own)) {
        json_object_clear(members);
    }
}

/* The members of a provider's record that the body gives. Free it. */
static json_t *read_provider(const BoxCall *call, const json_t *body, GError **error)
{
    const json_t *flag;
    g_autoptr(json_t) members = json_object();
    if (!read_url(body, members, error) || !read_checksum(body, members, error) ||
        !box_body_flag(body, "default_architecture", &flag, error)) {
        return NULL;
    }
    forget_own(call->base, members);
    if (json_is_boolean(flag)) {
        json_object_set(members, "default", (json_t *)flag);
    }
    return g_steal_pointer(&members);
}

static gboolean has_provider(const BoxRecords *records, const BoxPath *path, const char *provider)
{
    return box_records_provider(records, path->version, provider, NULL) != NULL;
}

/* Of an architecture that becomes the default the others of the provider are it no more. */
static gboolean settle_default(Storage *storage, const StorageActor *actor, const BoxPath *path, GError **error)
{
    g_autoptr(BoxRecords) records = box_records_read(storage, path->name, error);
    const GPtrArray *all = records == NULL ? NULL : box_records_providers(records, path->version);
    g_autoptr(json_t) members = ingot_json_pack("{s:b}", "default", 0);
    gboolean ok = records != NULL;
    for (guint i = 0; ok && all != NULL && i < all->len; i++) {
        const BoxProviderRecord *one = g_ptr_array_index(all, i);
        const BoxProviderKey key = {one->version, one->provider, one->architecture};
        if (strcmp(one->provider, path->provider) == 0 && strcmp(one->architecture, path->architecture) != 0 &&
            json_is_true(json_object_get(one->body, "default"))) {
            ok = box_change_provider(storage, actor, path->name, &key, members, FALSE, error);
        }
    }
    return ok;
}

/* What the version's tag names may be that box already: another would never be listed. */
static gboolean is_free(Storage *storage, const BoxPath *path, const BoxRecords *records, GError **error)
{
    IngotDigest current;
    const BoxProviderKey key = {path->version, path->provider, path->architecture};
    if (!storage_find_tag(storage, path->name, path->version, &current, NULL)) {
        return TRUE;
    }
    g_autoptr(GArray) images = view_entries(storage, path->name, &current);
    return box_claims_check(storage, path->name, records, &key, NULL, images, error);
}

/* The words of the body for the provider that is created. FALSE: one is none. */
static gboolean read_names(const json_t *body, BoxPath *path, GError **error)
{
    const char *name = json_string_value(json_object_get(body, "name"));
    const char *architecture = json_string_value(json_object_get(body, "architecture"));
    if (name == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "the provider's 'name' is expected");
        return FALSE;
    }
    g_free(path->provider);
    path->provider = g_strdup(name);
    path->architecture = g_strdup(architecture == NULL || *architecture == '\0' ? BOX_UNKNOWN : architecture);
    return box_provider_check(path->provider, error) && box_architecture_check(path->architecture, error);
}

enum MHD_Result box_provider_create(Request *request, BoxCall *call, const json_t *body)
{
    g_autoptr(GError) error = NULL;
    Storage *storage = request->server->storage;
    BoxPath *path = call->path;
    const StorageActor actor = box_actor(request);
    g_autoptr(BoxRecords) records = box_records_read(storage, path->name, &error);
    g_autoptr(json_t) members = records == NULL ? NULL : read_provider(call, body, &error);
    if (members == NULL || !read_names(body, path, &error)) {
        return box_fail(request, error);
    }
    if (box_records_version(records, path->version) == NULL) {
        return box_refuse(request, MHD_HTTP_NOT_FOUND, "%s has no version %s to which boxes can be added", path->shown,
                          path->version);
    }
    if (!json_is_string(json_object_get(members, "url")) && !is_free(storage, path, records, &error)) {
        return box_fail(request, error);
    }
    if (json_object_get(members, "default") == NULL) {
        json_object_set_new(members, "default", json_boolean(!has_provider(records, path, path->provider)));
    }
    const BoxProviderKey key = {path->version, path->provider, path->architecture};
    gboolean ok = box_change_provider(storage, &actor, path->name, &key, members, TRUE, &error) &&
                  (!json_is_true(json_object_get(members, "default")) || settle_default(storage, &actor, path, &error));
    return ok ? box_tell(request, call) : box_fail(request, error);
}

const BoxProviderRecord *box_provider_find(Request *request, const BoxCall *call, const BoxRecords *records,
                                           enum MHD_Result *result)
{
    BoxPath *path = call->path;
    const BoxProviderRecord *record = box_records_provider(records, path->version, path->provider, path->architecture);
    if (record == NULL) {
        *result = box_refuse(request, MHD_HTTP_NOT_FOUND, "%s %s has no provider %s%s%s that was created here",
                             path->shown, path->version, path->provider, path->architecture == NULL ? "" : " for ",
                             path->architecture == NULL ? "" : path->architecture);
        return NULL;
    }
    if (path->architecture == NULL) {
        path->architecture = g_strdup(record->architecture);
    }
    return record;
}

enum MHD_Result box_provider_refuse(Request *request, const BoxPath *path)
{
    return box_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT,
                      "%s %s has already been released: its box of %s for %s stays as it is: publish a new version",
                      path->shown, path->version, path->provider, path->architecture);
}

/* Whether the version's tag names the image. */
static gboolean is_named(Storage *storage, const char *name, const char *version, const IngotDigest *image)
{
    IngotDigest current;
    if (!storage_find_tag(storage, name, version, &current, NULL)) {
        return FALSE;
    }
    g_autoptr(GArray) images = view_entries(storage, name, &current);
    return digests_have(images, image);
}

/* The tag of a version keeps each image that it has, so one that was revoked gets no other box either: both would be
 * there after its next release. */
gboolean box_provider_is_kept(Storage *storage, const char *name, const BoxRecords *records,
                              const BoxProviderRecord *record)
{
    IngotDigest image;
    const char *text = json_string_value(json_object_get(record->body, "image"));
    return text != NULL && ingot_digest_parse(text, &image, NULL) &&
           (box_has_status(records, record->version, "active") || is_named(storage, name, record->version, &image));
}

/* Whether it is of a version that was released, and lies elsewhere: there it stays until who may delete takes it away.
 */
static gboolean is_released_elsewhere(const BoxRecords *records, const BoxProviderRecord *record)
{
    return json_object_get(record->body, "url") != NULL && !box_has_status(records, record->version, "unreleased");
}

/* Whether the members would have the box be another one, or lie elsewhere. */
static gboolean is_another_box(const json_t *record, const json_t *members)
{
    static const char *const keys[] = {"url", "checksum", "checksum_type"};
    for (guint i = 0; i < G_N_ELEMENTS(keys); i++) {
        const json_t *is = json_object_get(record, keys[i]), *said = json_object_get(members, keys[i]);
        if (said != NULL && (json_is_null(said) ? is != NULL : !json_equal(said, is))) {
            return TRUE;
        }
    }
    return FALSE;
}

/* What lies elsewhere is not uploaded: an upload that has begun ends. */
static void end_upload(json_t *members)
{
    static const char *const keys[] = {"upload", "uploader", "came", "problem", "image"};
    for (guint i = 0; json_is_string(json_object_get(members, "url")) && i < G_N_ELEMENTS(keys); i++) {
        json_object_set_new(members, keys[i], json_null());
    }
}

enum MHD_Result box_provider_change(Request *request, const BoxCall *call, const json_t *body)
{
    g_autoptr(GError) error = NULL;
    enum MHD_Result result;
    Storage *storage = request->server->storage;
    const BoxPath *path = call->path;
    const StorageActor actor = box_actor(request);
    g_autoptr(BoxRecords) records = box_records_read(storage, path->name, &error);
    g_autoptr(json_t) members = records == NULL ? NULL : read_provider(call, body, &error);
    if (members == NULL) {
        return box_fail(request, error);
    }
    const BoxProviderRecord *record = box_provider_find(request, call, records, &result);
    if (record == NULL) {
        return result;
    }
    const char *name = json_string_value(json_object_get(body, "name"));
    const char *architecture = json_string_value(json_object_get(body, "architecture"));
    if ((name != NULL && strcmp(name, path->provider) != 0) ||
        (architecture != NULL && strcmp(architecture, path->architecture) != 0)) {
        return box_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT,
                          "%s %s: a provider keeps its name and architecture: remove it, and create the other one",
                          path->shown, path->version);
    }
    if ((box_provider_is_kept(storage, path->name, records, record) || is_released_elsewhere(records, record)) &&
        is_another_box(record->body, members)) {
        return box_provider_refuse(request, path);
    }
    end_upload(members);
    const BoxProviderKey key = {path->version, path->provider, path->architecture};
    gboolean ok = box_change_provider(storage, &actor, path->name, &key, members, FALSE, &error) &&
                  (!json_is_true(json_object_get(members, "default")) || settle_default(storage, &actor, path, &error));
    return ok ? box_tell(request, call) : box_fail(request, error);
}

/* --- uploads --- */

static char *upload_path(const BoxPath *path, const char *id)
{
    return g_strdup_printf("/box-uploads/%s/%s/version/%s/provider/%s/%s/%s", id, path->name, path->version,
                           path->provider, path->architecture,
                           path->kind == BOX_PATH_DIRECT ? "upload/direct" : "upload");
}

static gboolean begin_upload(Request *request, const BoxPath *path, const char *id, GError **error)
{
    const StorageActor actor = box_actor(request);
    const BoxProviderKey key = {path->version, path->provider, path->architecture};
    json_t *uploader = actor.name == NULL ? json_null() : ingot_json_text(actor.name);
    g_autoptr(json_t) members = ingot_json_pack("{s:s, s:o, s:n, s:n, s:n, s:n, s:n}", "upload", id, "uploader",
                                                uploader, "came", "problem", "image", "url", "source");
    return box_change_provider(request->server->storage, &actor, path->name, &key, members, FALSE, error);
}

static enum MHD_Result tell_upload(Request *request, const BoxCall *call, const char *asked, const char *id)
{
    g_autofree char *where = upload_path(call->path, id), *pass = pass_write(request, where);
    g_autofree char *url = g_strconcat(call->base, where, "?" PASS "=", pass, NULL);
    g_autoptr(json_t) body = box_dialect(request)->upload(call, url, asked, id);
    return box_answer(request, body);
}

enum MHD_Result box_provider_upload(Request *request, const BoxCall *call)
{
    g_autoptr(GError) error = NULL;
    enum MHD_Result result;
    g_autofree char *asked = g_strdup(call->path->architecture), *id = random_id(&error);
    g_autoptr(BoxRecords) records =
        id == NULL ? NULL : box_records_read(request->server->storage, call->path->name, &error);
    if (records == NULL) {
        return box_fail(request, error);
    }
    const BoxProviderRecord *record = box_provider_find(request, call, records, &result);
    if (record == NULL) {
        return result;
    }
    if (box_provider_is_kept(request->server->storage, call->path->name, records, record) ||
        is_released_elsewhere(records, record)) {
        return box_provider_refuse(request, call->path);
    }
    if (box_is_gone(request->server->storage, call->path->name, call->path->version, records)) {
        return box_refuse(request, MHD_HTTP_NOT_FOUND, "%s has no version %s", call->path->shown, call->path->version);
    }
    if (vagrant_form_of(call->path->provider) == NULL) {
        return box_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT,
                          "boxes of provider %s are not taken in here: give the provider a 'url' instead",
                          call->path->provider);
    }
    return is_free(request->server->storage, call->path, records, &error) &&
                   begin_upload(request, call->path, id, &error)
               ? tell_upload(request, call, asked, id)
               : box_fail(request, error);
}

enum MHD_Result box_provider_uploaded(Request *request, const BoxCall *call)
{
    g_autoptr(GError) error = NULL;
    enum MHD_Result result;
    g_autoptr(BoxRecords) records = box_records_read(request->server->storage, call->path->name, &error);
    if (records == NULL) {
        return box_fail(request, error);
    }
    const BoxProviderRecord *record = box_provider_find(request, call, records, &result);
    if (record == NULL) {
        return result;
    }
    const char *upload = json_string_value(json_object_get(record->body, "upload"));
    const char *problem = json_string_value(json_object_get(record->body, "problem"));
    if (g_strcmp0(upload, call->path->upload) != 0) {
        return box_refuse(request, MHD_HTTP_NOT_FOUND, "no such upload, or another one has begun since");
    }
    if (problem != NULL || (json_object_get(record->body, "image") == NULL && !box_provider_is_coming(record->body))) {
        return box_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT, "%s",
                          problem != NULL ? problem : "the box has not come, or not as a whole");
    }
    return box_tell(request, call);
}
