#include "server/boxes/hcp.h"

#include <ingot/error.h>
#include <ingot/reference.h>
#include <string.h>

#include "server/auth/access.h"
#include "server/auth/challenge.h"
#include "server/boxes/boxbody.h"
#include "server/boxes/boxrecords.h"
#include "server/boxes/boxsearch.h"
#include "server/boxes/boxwrite.h"
#include "server/boxes/hcpjson.h"
#include "server/boxes/hcppath.h"
#include "server/server.h"
#include "server/views/pass.h"

#define PAGE_SIZE "pagination.page_size"
#define PAGE_NEXT "pagination.next_page_token"
#define PAGE_PREVIOUS "pagination.previous_page_token"
#define CREATED "created" /* ids of operations */
#define REMOVED "removed"

/* --- pages of lists --- */

typedef struct {
    guint64 from, size; /* size 0: all */
} Page;

/* A token is where the page begins. */
static gboolean page_read(const Request *request, Page *page)
{
    const char *size = request_query(request, PAGE_SIZE), *from = request_query(request, PAGE_NEXT);
    from = from == NULL || *from == '\0' ? request_query(request, PAGE_PREVIOUS) : from;
    *page = (Page){0};
    return (size == NULL || g_ascii_string_to_unsigned(size, 10, 0, G_MAXINT32, &page->size, NULL)) &&
           (from == NULL || *from == '\0' || g_ascii_string_to_unsigned(from, 10, 0, G_MAXINT32, &page->from, NULL));
}

/* The list is taken. */
static json_t *page_json(const Request *request, const char *key, json_t *all)
{
    Page page;
    page_read(request, &page);
    guint64 count = json_array_size(all), end = page.size == 0 ? count : MIN(count, page.from + page.size);
    json_t *list = json_array();
    for (guint64 i = page.from; i < end; i++) {
        json_array_append(list, json_array_get(all, (size_t)i));
    }
    json_decref(all);
    g_autofree char *next = end < count ? g_strdup_printf("%" G_GUINT64_FORMAT, end) : g_strdup("");
    g_autofree char *previous =
        page.from == 0 ? g_strdup("") : g_strdup_printf("%" G_GUINT64_FORMAT, page.from - MIN(page.from, page.size));
    return ingot_json_pack("{s:o, s:{s:s, s:s}}", key, list, "pagination", "next_page_token", next,
                           "previous_page_token", previous);
}

/* --- what is answered --- */

static json_t *operation_json(const char *shown, const char *id)
{
    const char *slash = strchr(shown, '/');
    g_autofree char *registry = slash == NULL ? g_strdup(shown) : g_strndup(shown, (gsize)(slash - shown));
    return ingot_json_pack("{s:s, s:s, s:{s:s, s:s}}", "id", id, "state", "DONE", "location", "organization_id",
                           registry, "project_id", slash == NULL ? shown : slash + 1);
}

static json_t *download_json(const Request *request, const BoxJson *by, const VagrantProvider *provider)
{
    g_autofree char *url = hcp_url(by, provider);
    if (url == NULL) {
        return NULL;
    }
    json_t *object = json_object();
    gboolean ours = g_str_has_prefix(provider->url, BOX_FORMATS);
    g_autofree char *pass = ours ? pass_write(request, provider->url) : NULL;
    g_autofree char *passed = ours ? g_strconcat(url, "?" PASS "=", pass, NULL) : NULL;
    ingot_json_set_string(object, "url", ours ? passed : url);
    hcp_json_set_checksum(object, provider);
    return object;
}

/* In the order of all of a version; architecture NULL: of each. */
static json_t *architectures_json(const BoxJson *by, const VagrantVersion *version, const char *name)
{
    g_autoptr(json_t) provider = hcp_json_provider(by, version, name);
    return provider == NULL ? NULL : json_incref(json_object_get(provider, "architectures"));
}

static json_t *list_json(const Request *request, const char *key, json_t *list)
{
    return list == NULL ? NULL : page_json(request, key, list);
}

static json_t *wrap(const char *key, json_t *value)
{
    return value == NULL ? NULL : ingot_json_pack("{s:o}", key, value);
}

static json_t *of_provider(const Request *request, const BoxJson *by, const BoxPath *path,
                           const VagrantVersion *version)
{
    if (path->architecture == NULL) {
        return path->kind == BOX_PATH_PROVIDERS
                   ? list_json(request, "architectures", architectures_json(by, version, path->provider))
                   : wrap("provider", hcp_json_provider(by, version, path->provider));
    }
    const VagrantProvider *provider = box_find_provider(version, path->provider, path->architecture);
    return provider == NULL                  ? NULL
           : path->kind == BOX_PATH_UPLOADED ? json_object()
           : path->kind == BOX_PATH_DOWNLOAD ? download_json(request, by, provider)
                                             : wrap("architecture", hcp_json_architecture(by, provider));
}

static json_t *of_version(const Request *request, const BoxJson *by, const BoxPath *path, const VagrantVersion *version)
{
    return path->kind == BOX_PATH_RELEASE || path->kind == BOX_PATH_REVOKE ? json_object()
           : path->provider != NULL                                        ? of_provider(request, by, path, version)
           : path->kind == BOX_PATH_GROUPS ? list_json(request, "providers", hcp_json_providers(by, version))
                                           : wrap("version", hcp_json_version(by, version));
}

static json_t *tell_part(const Request *request, const BoxJson *by, const BoxPath *path, const VagrantBox *box)
{
    const VagrantVersion *version = path->version == NULL ? NULL : vagrant_box_version(box, path->version);
    if (path->version != NULL) {
        return version == NULL || (!by->drafts && version->status != VAGRANT_ACTIVE)
                   ? NULL
                   : of_version(request, by, path, version);
    }
    if (path->kind == BOX_PATH_VERSIONS) {
        return list_json(request, "versions", hcp_json_versions(by, box));
    }
    json_t *body = wrap("box", hcp_json_box(by, box));
    if (path->kind == BOX_PATH_BOXES) {
        json_object_set_new(body, "operation", operation_json(path->shown, CREATED));
    }
    return body;
}

static json_t *tell_removed(const Request *request, const BoxJson *by, const BoxPath *path, const VagrantBox *box)
{
    (void)request, (void)by, (void)box;
    return path->kind == BOX_PATH_BOX ? wrap("operation", operation_json(path->shown, REMOVED)) : json_object();
}

static json_t *tell_upload(const BoxCall *call, const char *url, const char *asked, const char *id)
{
    const BoxPath *path = call->path;
    const char *slash = strchr(path->shown, '/');
    json_t *body = ingot_json_pack("{s:s}", "url", url);
    (void)asked;
    if (path->kind == BOX_PATH_DIRECT) {
        g_autofree char *callback = g_strdup_printf(
            "%s/registry/%.*s/box/%s/version/%s/provider/%s/architecture/%s/direct/complete/%s", call->from,
            (int)(slash - path->shown), path->shown, slash + 1, path->version, path->provider, path->architecture, id);
        ingot_json_set_string(body, "object", id);
        ingot_json_set_string(body, "callback", callback);
    }
    return body;
}

/* The number that gRPC has for a status of HTTP. */
static int code_of(guint status)
{
    static const struct {
        guint status;
        int code;
    } codes[] = {{MHD_HTTP_UNPROCESSABLE_CONTENT, 3},
                 {MHD_HTTP_BAD_REQUEST, 3},
                 {MHD_HTTP_NOT_FOUND, 5},
                 {MHD_HTTP_CONFLICT, 6},
                 {MHD_HTTP_FORBIDDEN, 7},
                 {MHD_HTTP_CONTENT_TOO_LARGE, 8},
                 {MHD_HTTP_INSUFFICIENT_STORAGE, 8},
                 {MHD_HTTP_METHOD_NOT_ALLOWED, 12}};
    for (guint i = 0; i < G_N_ELEMENTS(codes); i++) {
        if (codes[i].status == status) {
            return codes[i].code;
        }
    }
    return 13; /* internal */
}

static json_t *tell_error(guint *status, const char *message)
{
    return ingot_json_pack("{s:i, s:o, s:[]}", "code", code_of(*status), "message", ingot_json_text(message),
                           "details");
}

const BoxDialect hcp_dialect = {.error = tell_error, .part = tell_part, .removed = tell_removed, .upload = tell_upload};

/* --- what is asked --- */

static void copy_member(json_t *to, const char *key, const json_t *from, const char *its)
{
    json_t *value = json_object_get(from, its);
    if (value != NULL) {
        json_object_set(to, key, value);
    }
}

static void copy_checksum(json_t *to, const json_t *data)
{
    const char *type = json_string_value(json_object_get(data, "checksum_type"));
    copy_member(to, "checksum", data, "checksum");
    copy_member(to, "checksum_type", data, "checksum_type");
    if (g_strcmp0(type, "NONE") == 0 || g_strcmp0(type, "UNSET") == 0) {
        json_object_set_new(to, "checksum_type", json_null());
    }
}

/* The body in the words of Vagrant Cloud's API, which boxwrite.h takes. Free it. */
static json_t *translate(const BoxPath *path, const json_t *body)
{
    const json_t *data = json_object_get(body, "box_data");
    json_t *said = json_object();
    switch (path->kind) {
    case BOX_PATH_BOXES:
        json_object_update(said, (json_t *)body);
        ingot_json_set_string(said, "username", path->shown);
        break;
    case BOX_PATH_VERSIONS:
    case BOX_PATH_VERSION:
        copy_member(said, "version", body, "name");
        copy_member(said, "description", body, "description");
        break;
    case BOX_PATH_PROVIDERS:
    case BOX_PATH_PROVIDER:
        ingot_json_set_string(said, "name", path->provider);
        copy_member(said, "architecture", body, "architecture_type");
        copy_member(said, "default_architecture", body, "default");
        copy_member(said, "url", data, "download_url");
        copy_checksum(said, data);
        break;
    default:
        json_object_update(said, (json_t *)body);
        break;
    }
    return said;
}

/* --- the doors --- */

static char *hcp_scope(const Request *request, const RouteMatch *match)
{
    g_autoptr(BoxPath) path = hcp_path_parse(match->reference, NULL);
    return path == NULL || path->kind == BOX_PATH_BOXES ? NULL : challenge_scope(path->name, box_right(request, path));
}

/* A list of boxes has what the caller may pull; who may push a new one is asked when it is named. */
static enum MHD_Result check_boxes(Request *request)
{
    return access_is_known(request) || (request_is_read(request) && access_may_anybody(request, ACCESS_PULL))
               ? MHD_YES
               : access_unauthorized(request, NULL, NULL, "log in first");
}

static enum MHD_Result check_hcp(Request *request, const RouteMatch *match)
{
    Page page;
    g_autoptr(GError) error = NULL;
    BoxCall *call = box_call_begin(request, match);
    if (call == NULL) {
        return MHD_YES;
    }
    call->path = hcp_path_parse(match->reference, &error);
    if (call->path == NULL) {
        return box_fail(request, error);
    }
    if (!page_read(request, &page)) {
        return box_refuse(request, MHD_HTTP_BAD_REQUEST,
                          PAGE_SIZE " is a number, and a page's token one that was told");
    }
    if (call->path->kind == BOX_PATH_BOXES) {
        return check_boxes(request);
    }
    guint right = box_right(request, call->path);
    return access_may(request, right, call->path->name) ? MHD_YES : box_deny(request, call->path->name, right);
}

static enum MHD_Result list_boxes(Request *request, const BoxCall *call)
{
    g_autoptr(GError) error = NULL;
    json_t *boxes = box_list_org(request, call, call->path->name, hcp_json_brief, &error);
    if (boxes == NULL) {
        return box_fail(request, error);
    }
    g_autoptr(json_t) body = page_json(request, "boxes", boxes);
    return box_answer(request, body);
}

static enum MHD_Result read_hcp(Request *request, const RouteMatch *match)
{
    const BoxCall *call = request->kept;
    (void)match;
    return call->path->kind == BOX_PATH_BOXES ? list_boxes(request, call) : box_read(request, call);
}

static enum MHD_Result write_hcp(Request *request, const RouteMatch *match)
{
    g_autoptr(GError) error = NULL;
    BoxCall *call = request->kept;
    g_autoptr(json_t) body = box_body(request, "data", &error);
    (void)match;
    if (body == NULL) {
        return box_fail(request, error);
    }
    g_autoptr(json_t) said = translate(call->path, body);
    return call->path->kind == BOX_PATH_BOXES && strcmp(request->method, "POST") == 0
               ? box_create(request, call, said)
               : box_write_part(request, call, said);
}

/* --- operations --- */

/* "REGISTRY/projects/BOX/operations/ID", as operation_json has it; more may be behind it. FALSE: it is none. */
static gboolean read_operation(const char *text, char **shown, char **id)
{
    g_auto(GStrv) parts = g_strsplit(text, "/", -1);
    guint count = g_strv_length(parts);
    if ((count != 5 && (count != 6 || strcmp(parts[5], "wait") != 0)) || strcmp(parts[1], "projects") != 0 ||
        strcmp(parts[3], "operations") != 0) {
        return FALSE;
    }
    *shown = g_strconcat(parts[0], "/", parts[2], NULL);
    *id = g_strdup(parts[4]);
    return TRUE;
}

/* What it has made is there, or what it has removed is not. */
static gboolean is_done(const Request *request, const char *name, const char *id)
{
    g_autoptr(json_t) record = storage_record(request->server->storage, BOX_RECORD, name, BOX_KEY, NULL);
    return strcmp(id, record == NULL ? REMOVED : CREATED) == 0;
}

static enum MHD_Result tell_operation(Request *request, const RouteMatch *match)
{
    g_autofree char *shown = NULL, *id = NULL;
    gboolean found = read_operation(match->reference, &shown, &id);
    g_autofree char *name = found ? g_ascii_strdown(shown, -1) : NULL;
    if (!found || !ingot_name_check(name, NULL)) {
        return box_refuse(request, MHD_HTTP_NOT_FOUND, "no such operation");
    }
    if (!access_may(request, ACCESS_PULL, name)) {
        return box_deny(request, name, ACCESS_PULL);
    }
    if (!is_done(request, name, id)) {
        return box_refuse(request, MHD_HTTP_NOT_FOUND, "no such operation");
    }
    g_autoptr(json_t) body = wrap("operation", operation_json(shown, id));
    return box_answer(request, body);
}

#define HCP .name = "boxes", .kind = BOX_HCP
#define BOXES "/vagrant/2022-09-30/registry/*"
const Route hcp_routes[] = {
    {HCP, .methods = "GET, HEAD", .pattern = BOXES, .vagrant = TRUE, .pool = POOL_SLOW, .check = check_hcp,
     .scope = hcp_scope, .answer = read_hcp},
    {HCP, .methods = "POST, PUT, DELETE", .pattern = BOXES, .vagrant = TRUE, .pool = POOL_WRITE,
     .body_max = BOX_BODY_MAX, .check = check_hcp, .scope = hcp_scope, .move = box_write_move, .answer = write_hcp},
    {HCP, .methods = "GET, HEAD", .pattern = "/operation/2020-05-05/organizations/*", .pool = POOL_READ,
     .answer = tell_operation},
    {0},
};
