#include "server/auth/access.h"

#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "server/auth/caller.h"
#include "server/auth/challenge.h"
#include "server/http/log.h"
#include "server/http/origin.h"
#include "server/http/serve.h"
#include "server/server.h"

#define CHECKS_MOST 4 /* of passwords at once: half of the processors, of which requests need the others */

Access *access_new(const char *data, guint anonymous, gboolean tls, guint token_life, GError **error)
{
    Accounts *accounts = accounts_open(data, error);
    if (accounts == NULL) {
        return NULL;
    }
    Access *access = g_new0(Access, 1);
    access->accounts = accounts;
    access->throttle = throttle_new();
    access->logins = logins_new(access->throttle, CLAMP(g_get_num_processors() / 2, 1, CHECKS_MOST), error);
    if (access->logins == NULL) {
        access_free(access);
        return NULL;
    }
    access->anonymous = anonymous;
    access->tls = tls;
    access->token_life = token_life;
    access->loopback = TRUE; /* of all addresses that are served */
    return access;
}

void access_stop(Access *access)
{
    logins_stop(access->logins);
}

void access_free(Access *access)
{
    if (access != NULL) {
        g_clear_pointer(&access->logins, logins_free);
        throttle_free(access->throttle);
        accounts_close(access->accounts);
        g_free(access);
    }
}

gboolean access_check_address(Access *access, gboolean loopback, const char *address, GError **error)
{
    gboolean any;
    access->loopback = access->loopback && loopback;
    if (!users_any(access->accounts, &any, error)) {
        return FALSE;
    }
    if (!loopback && !any) {
        g_set_error(
            error, INGOT_ERROR, INGOT_ERROR_INVALID,
            "%s can be reached from elsewhere, and this registry has no users: anybody could push and delete. Add "
            "one (`ingotd user add --data DIR NAME`), or listen on 127.0.0.1",
            address);
        return FALSE;
    }
    if (!loopback && !access->tls) {
        log_warning("passwords and tokens go to %s in the clear: --tls-cert and --tls-key encrypt them", address);
    }
    return TRUE;
}

/* --- what the caller may do --- */

static guint anonymous_rights(const Request *request)
{
    return request->server->access->anonymous;
}

guint access_rights(const Request *request, const char *name)
{
    return request->caller == NULL ? 0 : caller_rights(request->caller, anonymous_rights(request), name);
}

gboolean access_may(const Request *request, AccessRight right, const char *name)
{
    return (access_rights(request, name) & right) == right;
}

static guint rights_beyond(const Request *request, const char *name)
{
    return request->caller == NULL ? 0 : caller_rights_beyond(request->caller, anonymous_rights(request), name);
}

gboolean access_sees(const char *name, gconstpointer request)
{
    return (rights_beyond(request, name) & ACCESS_PULL) != 0;
}

gboolean access_may_everywhere(const Request *request, guint rights)
{
    return (rights_beyond(request, "*") & rights) != 0; /* a pattern as a name, as scopes_cover has it */
}

gboolean access_may_anybody(const Request *request, AccessRight right)
{
    return access_may_all(request) || (anonymous_rights(request) & right) == right;
}

const char *access_keep(const Request *request)
{
    return access_may_anybody(request, ACCESS_PULL) ? SERVE_FOR_EVER : SERVE_FOR_EVER_PRIVATE;
}

const char *access_keep_asking(const Request *request)
{
    return access_may_anybody(request, ACCESS_PULL) ? "no-cache" : "private, no-cache";
}

gboolean access_may_all(const Request *request)
{
    return request->caller != NULL && request->caller->kind == CALLER_EVERYBODY;
}

gboolean access_is_known(const Request *request)
{
    return request->caller != NULL && (request->caller->kind != CALLER_NOBODY || request->caller->grant != NULL);
}

gboolean access_is_somebody(const Request *request)
{
    return request->caller != NULL && request->caller->kind != CALLER_NOBODY;
}

gboolean access_may_list(const Request *request)
{
    const Caller *caller = request->caller;
    return caller != NULL && (caller->kind != CALLER_NOBODY || anonymous_rights(request) != 0) &&
           (caller->grant == NULL || caller->grant->catalog);
}

gboolean access_lists(const Request *request, const char *name)
{
    return access_may_list(request) && access_sees(name, request);
}

const char *access_user(const Request *request)
{
    return request->caller == NULL || request->caller->kind != CALLER_USER ? "-" : request->caller->user;
}

/* --- refusals --- */

static enum MHD_Result refuse(Request *request, guint status, const char *code, const char *message,
                              const char *challenge, const char *wait)
{
    g_autoptr(json_t) body = json_pack("{s:[{s:s, s:s}]}", "errors", "code", code, "message", message);
    g_autofree char *text = ingot_json_canonical(body);
    const char *basic = status == MHD_HTTP_UNAUTHORIZED ? "Basic realm=\"ingot\", charset=\"UTF-8\"" : NULL;
    /* The first is what clients take that know both. */
    return request_answer(request, status, "application/json", text, strlen(text), "WWW-Authenticate", challenge,
                          "WWW-Authenticate", basic, "Retry-After", wait, NULL);
}

char *access_base(const Request *request)
{
    return origin_base(request);
}

enum MHD_Result access_unauthorized(Request *request, const char *scope, const char *error, const char *message)
{
    g_autofree char *base = origin_base(request);
    g_autofree char *challenge = challenge_bearer(base, scope, error);
    return refuse(request, MHD_HTTP_UNAUTHORIZED, "UNAUTHORIZED", message, challenge, NULL);
}

/* What a token is to be asked for: free it. */
static char *route_scope(const Request *request)
{
    const Route *route = request->match.route;
    return route == NULL || route->scope == NULL ? NULL : route->scope(request, &request->match);
}

enum MHD_Result access_invalid_token(Request *request, const char *message)
{
    g_autofree char *scope = route_scope(request);
    return access_unauthorized(request, scope, "invalid_token", message);
}

enum MHD_Result access_refuse(Request *request, const char *name, guint rights)
{
    const Caller *caller = request->caller;
    g_autofree char *scope = route_scope(request);
    if (scope == NULL && (name != NULL || rights != 0)) {
        scope = challenge_scope(name, rights);
    }
    gboolean nobody = caller == NULL || caller->kind == CALLER_NOBODY;
    /* Another access token would do, or a login for one. */
    if (caller != NULL && caller->grant != NULL &&
        (nobody || name == NULL || (caller_rights_beyond(caller, anonymous_rights(request), name) & rights) != 0)) {
        return access_unauthorized(request, scope, "insufficient_scope",
                                   "the access token was given for something else");
    }
    return nobody ? access_unauthorized(request, scope, NULL, "log in first")
                  : refuse(request, MHD_HTTP_FORBIDDEN, "DENIED", "you may not do this here", NULL, NULL);
}

enum MHD_Result access_too_soon(Request *request, const char *user)
{
    guint seconds =
        throttle_wait(request->server->access->throttle, user, request->caller->network, g_get_monotonic_time());
    g_autofree char *wait = g_strdup_printf("%u", MAX(seconds, 1));
    return refuse(request, MHD_HTTP_TOO_MANY_REQUESTS, "TOOMANYREQUESTS",
                  "a login of this user has failed; wait before the next", NULL, wait);
}

enum MHD_Result access_busy(Request *request)
{
    return request_refuse_busy(request, "too many logins at once");
}
