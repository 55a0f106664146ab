#include "server/boxes/boxapi.h"

#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "server/auth/access.h"
#include "server/auth/caller.h"
#include "server/auth/challenge.h"
#include "server/auth/tokens.h"
#include "server/boxes/boxprovider.h"
#include "server/boxes/boxsearch.h"
#include "server/boxes/boxwrite.h"
#include "server/boxes/hcp.h"
#include "server/server.h"
#include "server/views/patience.h"

/* --- Vagrant Cloud's words --- */

static json_t *tell_error(guint *status, const char *message)
{
    *status = *status == MHD_HTTP_CONFLICT ? MHD_HTTP_UNPROCESSABLE_CONTENT : *status;
    return ingot_json_pack("{s:[o], s:b}", "errors", ingot_json_text(message), "success", 0);
}

static json_t *tell_provider(const BoxJson *by, const BoxPath *path, const VagrantVersion *version)
{
    const VagrantProvider *provider = box_find_provider(version, path->provider, path->architecture);
    return provider == NULL ? NULL : box_json_provider(by, provider);
}

static json_t *tell_part(const Request *request, const BoxJson *by, const BoxPath *path, const VagrantBox *box)
{
    (void)request;
    const VagrantVersion *version = path->version == NULL ? NULL : vagrant_box_version(box, path->version);
    if (path->version == NULL) {
        return box_json(by, box);
    }
    if (version == NULL || (!by->drafts && version->status != VAGRANT_ACTIVE)) {
        return NULL;
    }
    return path->provider == NULL ? box_json_version(by, box, version) : tell_provider(by, path, version);
}

static json_t *tell_upload(const BoxCall *call, const char *url, const char *asked, const char *id)
{
    const BoxPath *path = call->path;
    json_t *body = ingot_json_pack("{s:s}", "upload_path", url);
    if (path->kind == BOX_PATH_DIRECT) {
        g_autofree char *callback =
            g_strdup_printf("%s/box/%s/version/%s/provider/%s%s%s/upload/direct/%s", call->from, path->shown,
                            path->version, path->provider, asked == NULL ? "" : "/", asked == NULL ? "" : asked, id);
        ingot_json_set_string(body, "callback", callback);
    }
    return body;
}

static const BoxDialect cloud_dialect = {
    .error = tell_error, .part = tell_part, .removed = tell_part, .upload = tell_upload};

const BoxDialect *box_dialect(const Request *request)
{
    const Route *route = request->match.route;
    return route != NULL && route->kind == BOX_HCP ? &hcp_dialect : &cloud_dialect;
}

/* --- answers --- */

static enum MHD_Result answer_error(Request *request, guint status, const char *message)
{
    g_autoptr(json_t) body = box_dialect(request)->error(&status, message);
    g_autofree char *text = ingot_json_canonical(body);
    return request_answer(request, status, "application/json", text, strlen(text), NULL);
}

enum MHD_Result box_refuse(Request *request, guint status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    return answer_error(request, status, message);
}

enum MHD_Result box_fail(Request *request, const GError *error)
{
    guint status = MHD_HTTP_INTERNAL_SERVER_ERROR;
    if (g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED)) {
        return request_refuse_busy(request, error->message);
    }
    switch (error->domain == INGOT_ERROR ? error->code : INGOT_ERROR_FAILED) {
    case INGOT_ERROR_NOT_FOUND:
        status = MHD_HTTP_NOT_FOUND;
        break;
    case INGOT_ERROR_EXISTS:
        status = MHD_HTTP_CONFLICT;
        break;
    case INGOT_ERROR_INVALID:
    case INGOT_ERROR_CORRUPT:
        status = MHD_HTTP_UNPROCESSABLE_CONTENT;
        break;
    case INGOT_ERROR_DENIED:
        status = MHD_HTTP_FORBIDDEN;
        break;
    case INGOT_ERROR_LIMIT:
        status = MHD_HTTP_CONTENT_TOO_LARGE;
        break;
    case INGOT_ERROR_NO_SPACE:
        status = MHD_HTTP_INSUFFICIENT_STORAGE;
        break;
    default:
        break;
    }
    return answer_error(request, status, error->message);
}

enum MHD_Result box_answer(Request *request, const json_t *body)
{
    g_autofree char *text = ingot_json_pretty(body);
    return request_answer(request, MHD_HTTP_OK, "application/json", text, strlen(text), "Cache-Control",
                          access_keep_asking(request), NULL);
}

/* --- calls --- */

static void call_free(gpointer data)
{
    BoxCall *call = data;
    g_clear_pointer(&call->path, box_path_free);
    g_free(call->base);
    g_free(call->from);
    g_free(call);
}

/* The API's prefix of a path: all before its first "/box/", "/boxes" and so on. Free it. */
static char *prefix_of(const Request *request, const RouteMatch *match)
{
    const char *pattern = match->route->pattern, *word = strrchr(pattern, '/');
    word = word[1] == '*' ? g_strrstr_len(pattern, word - pattern, "/") : word;
    (void)request;
    return g_strndup(pattern, (gsize)(word - pattern));
}

BoxCall *box_call_begin(Request *request, const RouteMatch *match)
{
    g_autofree char *prefix = prefix_of(request, match);
    BoxCall *call = g_new0(BoxCall, 1);
    request_keep(request, call, call_free);
    call->base = access_base(request);
    if (call->base == NULL) {
        box_refuse(request, MHD_HTTP_BAD_REQUEST, "a Host header is expected");
        return NULL;
    }
    call->from = g_strconcat(call->base, prefix, NULL);
    return call;
}

BoxJson box_call_json(const Request *request, const BoxCall *call)
{
    return (BoxJson){.base = call->base,
                     .from = call->from,
                     .drafts = call->path != NULL && access_may(request, ACCESS_PUSH, call->path->name)};
}

BoxList *box_call_list(Request *request, const BoxCall *call, enum MHD_Result *result)
{
    g_autoptr(GError) error = NULL;
    gint64 until = request_is_read(request) ? patience_end() : 0;
    BoxList *list = boxlists_get(request, call->path->shown, call->base, until, &error);
    *result = MHD_NO;
    if (list == NULL && error != NULL) {
        *result = g_error_matches(error, VIEW_ERROR, VIEW_ERROR_BUSY) ? request_refuse_busy(request, error->message)
                  : g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)
                      ? box_refuse(request, MHD_HTTP_NOT_FOUND, "%s: there is no such box", call->path->shown)
                      : box_fail(request, error);
    }
    return list;
}

/* --- reads --- */

/* A repository without a version that nobody has made a box of: it has something else, or nothing any more. */
static gboolean is_no_box(const BoxList *list)
{
    return list->box->versions->len == 0 && !list->is_recorded && !list->is_busy;
}

enum MHD_Result box_tell(Request *request, const BoxCall *call)
{
    enum MHD_Result result;
    const BoxPath *path = call->path;
    const BoxJson by = box_call_json(request, call);
    g_autoptr(BoxList) list = box_call_list(request, call, &result);
    if (list == NULL) {
        return result;
    }
    if (is_no_box(list)) {
        return box_refuse(request, MHD_HTTP_NOT_FOUND, "%s: there is no such box", path->shown);
    }
    g_autoptr(json_t) body = box_dialect(request)->part(request, &by, path, list->box);
    if (body != NULL) {
        return box_answer(request, body);
    }
    return path->provider == NULL || vagrant_box_version(list->box, path->version) == NULL
               ? box_refuse(request, MHD_HTTP_NOT_FOUND, "%s has no version %s", path->shown, path->version)
               : box_refuse(request, MHD_HTTP_NOT_FOUND, "%s %s has no provider %s%s%s", path->shown, path->version,
                            path->provider, path->architecture == NULL ? "" : " for ",
                            path->architecture == NULL ? "" : path->architecture);
}

enum MHD_Result box_read(Request *request, const BoxCall *call)
{
    switch (call->path->kind) {
    case BOX_PATH_UPLOAD:
    case BOX_PATH_DIRECT: /* begins one, as no HEAD may */
        return strcmp(request->method, "GET") == 0
                   ? box_provider_upload(request, call)
                   : box_refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "GET is expected here");
    case BOX_PATH_RELEASE:
    case BOX_PATH_REVOKE:
    case BOX_PATH_UPLOADED:
        return box_refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "PUT is expected here");
    default:
        return box_tell(request, call);
    }
}

/* --- rights --- */

guint box_right(const Request *request, const BoxPath *path)
{
    gboolean reads = request_is_read(request) && path->kind != BOX_PATH_UPLOAD && path->kind != BOX_PATH_DIRECT;
    return reads ? ACCESS_PULL : ACCESS_PUSH;
}

/* Whoever has logged in is told in the words of the API. */
enum MHD_Result box_deny(Request *request, const char *name, guint right)
{
    return access_is_known(request) && box_dialect(request) != &cloud_dialect
               ? box_refuse(request, MHD_HTTP_FORBIDDEN, "you may not do this here")
               : access_refuse(request, name, right);
}

static char *box_scope(const Request *request, const RouteMatch *match)
{
    g_autoptr(BoxPath) path = box_path_parse(match->reference, NULL);
    return path == NULL ? NULL : challenge_scope(path->name, box_right(request, path));
}

static enum MHD_Result check_box(Request *request, const RouteMatch *match)
{
    g_autoptr(GError) error = NULL;
    BoxCall *call = box_call_begin(request, match);
    if (call == NULL) {
        return MHD_YES;
    }
    call->path = box_path_parse(match->reference, &error);
    if (call->path == NULL) {
        return box_fail(request, error);
    }
    guint right = box_right(request, call->path);
    return access_may(request, right, call->path->name) ? MHD_YES : box_deny(request, call->path->name, right);
}

/* Lists have what the caller may pull. */
static enum MHD_Result check_reader(Request *request, const RouteMatch *match)
{
    if (!access_is_known(request) && !access_may_anybody(request, ACCESS_PULL)) {
        return access_unauthorized(request, NULL, NULL, "log in first");
    }
    box_call_begin(request, match);
    return MHD_YES;
}

static enum MHD_Result check_known(Request *request, const RouteMatch *match)
{
    if (!access_is_known(request)) {
        return access_unauthorized(request, NULL, NULL, "log in first");
    }
    box_call_begin(request, match);
    return MHD_YES;
}

/* --- the login --- */

/* Vagrant's gem asks who its token is before anything else. */
static enum MHD_Result tell_login(Request *request, const RouteMatch *match)
{
    g_autoptr(json_t) body = ingot_json_pack("{s:{s:s}}", "user", "username", access_user(request));
    (void)match;
    return box_answer(request, body);
}

static enum MHD_Result check_nothing(Request *request, const RouteMatch *match)
{
    box_call_begin(request, match);
    return MHD_YES;
}

static enum MHD_Result refuse_login(Request *request, const RouteMatch *match)
{
    (void)match;
    return box_refuse(
        request, MHD_HTTP_UNAUTHORIZED,
        "this registry gives no token for a password: its owner makes one by `ingotd token create`; set it "
        "as VAGRANT_CLOUD_TOKEN, or give it to `vagrant cloud auth login --token`");
}

/* Ends the token that was shown, as Vagrant Cloud does. */
static enum MHD_Result end_login(Request *request, const RouteMatch *match)
{
    g_autoptr(GError) error = NULL;
    const char *token = request->caller->token;
    (void)match;
    if (token == NULL) {
        return box_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT, "no token was shown that could end");
    }
    return tokens_remove(request->server->access->accounts, token, &error)
               ? request_answer(request, MHD_HTTP_NO_CONTENT, NULL, NULL, 0, NULL)
               : box_fail(request, error);
}

/* --- the table --- */

static enum MHD_Result read_box(Request *request, const RouteMatch *match)
{
    (void)match;
    return box_read(request, request->kept);
}

static enum MHD_Result write_box(Request *request, const RouteMatch *match)
{
    (void)match;
    return box_write(request, request->kept);
}

static enum MHD_Result create_box(Request *request, const RouteMatch *match)
{
    (void)match;
    return box_write_new(request, request->kept);
}

static enum MHD_Result search(Request *request, const RouteMatch *match)
{
    (void)match;
    return box_search(request, request->kept);
}

static enum MHD_Result tell_user(Request *request, const RouteMatch *match)
{
    return box_tell_user(request, request->kept, match->reference);
}

#define GETS .methods = "GET, HEAD", .name = "boxes", .vagrant = TRUE
#define SETS .name = "boxes", .vagrant = TRUE, .pool = POOL_WRITE, .body_max = BOX_BODY_MAX
#define API(PREFIX)                                                                                                    \
    {GETS, .pattern = PREFIX "/box/*", .pool = POOL_SLOW, .check = check_box, .scope = box_scope, .answer = read_box}, \
        {SETS,                                                                                                         \
         .methods = "POST, PUT, DELETE",                                                                               \
         .pattern = PREFIX "/box/*",                                                                                   \
         .check = check_box,                                                                                           \
         .scope = box_scope,                                                                                           \
         .move = box_write_move,                                                                                       \
         .answer = write_box},                                                                                         \
        {SETS, .methods = "POST", .pattern = PREFIX "/boxes", .check = check_known, .answer = create_box},             \
        {GETS, .pattern = PREFIX "/user/*", .pool = POOL_SLOW, .check = check_reader, .answer = tell_user},            \
        {GETS, .pattern = PREFIX "/search", .pool = POOL_SLOW, .check = check_reader, .answer = search},               \
        {GETS, .pattern = PREFIX "/authenticate", .check = check_known, .answer = tell_login},                         \
        {SETS, .methods = "POST", .pattern = PREFIX "/authenticate", .check = check_nothing, .answer = refuse_login},  \
    {                                                                                                                  \
        SETS, .methods = "DELETE", .pattern = PREFIX "/authenticate", .check = check_known, .answer = end_login        \
    }
const Route box_api_routes[] = {
    API("/api/v1"), API("/api/v2"), API("/vagrant/api/v1"), API("/vagrant/api/v2"), API("/vagrant"), {0},
};
