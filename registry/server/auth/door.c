#include "server/auth/door.h"

#include <ingot/error.h>
#include <string.h>

#include "server/auth/access.h"
#include "server/auth/authorization.h"
#include "server/auth/caller.h"
#include "server/auth/tokens.h"
#include "server/http/client.h"
#include "server/http/log.h"
#include "server/http/origin.h"
#include "server/http/watch.h"
#include "server/server.h"

/* What was shown is wrong: the log tells who tried, the client that it was wrong. */
static enum MHD_Result failed(Request *request, const char *user, const char *what)
{
    g_autofree char *shown = g_strndup(user, 100);
    g_autofree char *address = client_address(request);
    log_warning("login from %s failed: user=\"%s\": %s (request %s)", address, g_strdelimit(shown, "\"", '\''), what,
                request->id);
    return access_invalid_token(request, what);
}

/* An unknown token. It slows down nobody: tokens are too long to be guessed, and old ones are shown by programs that
 * know no better. */
static enum MHD_Result bad_token(Request *request, const char *user)
{
    return failed(request, user, "the token is not valid");
}

static void become(Caller *caller, User *user)
{
    caller->kind = CALLER_USER;
    caller->user = g_steal_pointer(&user->name);
    caller->scopes = g_steal_pointer(&user->scopes);
    caller->serial = user->serial;
}

/* FALSE: *result is the answer. */
static gboolean take_user(Request *request, const char *name, User **user, enum MHD_Result *result)
{
    g_autoptr(GError) error = NULL;
    *user = users_find(request->server->access->accounts, name, &error);
    if (*user == NULL && !g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        *result = request_fail(request, "UNKNOWN", error);
        return FALSE;
    }
    return TRUE;
}

static gboolean is_over(const Token *token)
{
    return token->expires <= g_get_real_time() / G_USEC_PER_SEC;
}

/* By a long token, shown as a bearer's or as the password of its user (name; else NULL). */
static gboolean by_long_token(Request *request, const char *name, const char *text, enum MHD_Result *result)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Token) token = tokens_find(request->server->access->accounts, text, &error);
    if (token == NULL && !g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        *result = request_fail(request, "UNKNOWN", error);
        return FALSE;
    }
    if (token == NULL || (name != NULL && strcmp(name, token->user) != 0)) {
        *result = bad_token(request, name == NULL ? "" : name);
        return FALSE;
    }
    if (is_over(token)) {
        *result = failed(request, token->user, "the token has expired");
        return FALSE;
    }
    g_autoptr(User) user = NULL;
    if (!take_user(request, token->user, &user, result)) {
        return FALSE;
    }
    if (user == NULL) { /* removed in between */
        *result = bad_token(request, token->user);
        return FALSE;
    }
    become(request->caller, user);
    request->caller->token = g_steal_pointer(&token->id);
    request->caller->narrow = g_steal_pointer(&token->scopes);
    return TRUE;
}

/* The long token behind an access token must live on. */
static gboolean take_narrow(Request *request, const Grant *grant, enum MHD_Result *result)
{
    if (grant->token == NULL) {
        return TRUE;
    }
    g_autoptr(GError) error = NULL;
    g_autoptr(Token) token = tokens_find_id(request->server->access->accounts, grant->token, &error);
    if (token == NULL && !g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        *result = request_fail(request, "UNKNOWN", error);
        return FALSE;
    }
    if (token == NULL || is_over(token) || g_strcmp0(token->user, grant->user) != 0) {
        *result = failed(request, grant->user, "the token has ended");
        return FALSE;
    }
    request->caller->token = g_steal_pointer(&token->id);
    request->caller->narrow = g_steal_pointer(&token->scopes);
    return TRUE;
}

/* By whichever key is accepted. */
static BearerVerdict check_bearer(const Request *request, const char *text, Grant **grant)
{
    g_auto(AccountsKeys) keys;
    BearerVerdict verdict = BEARER_FORGED;
    accounts_keys(request->server->access->accounts, &keys);
    for (guint i = 0; i < keys.count && verdict == BEARER_FORGED; i++) {
        verdict = bearer_check(keys.bytes[i], text, g_get_real_time() / G_USEC_PER_SEC, grant);
    }
    return verdict;
}

static gboolean by_access_token(Request *request, const char *text, enum MHD_Result *result)
{
    g_autoptr(Grant) grant = NULL;
    switch (check_bearer(request, text, &grant)) {
    case BEARER_FORGED:
        *result = bad_token(request, "");
        return FALSE;
    case BEARER_EXPIRED: /* clients fetch another one: nothing to log */
        *result = access_invalid_token(request, "the access token has expired");
        return FALSE;
    default:
        break;
    }
    if (grant->user != NULL) {
        g_autoptr(User) user = NULL;
        if (!take_user(request, grant->user, &user, result)) {
            return FALSE;
        }
        if (user == NULL || user->serial != grant->serial) {
            *result = failed(request, grant->user, "the user has gone or has another password");
            return FALSE;
        }
        if (!take_narrow(request, grant, result)) {
            return FALSE;
        }
        become(request->caller, user);
    }
    request->caller->grant = g_steal_pointer(&grant);
    return TRUE;
}

/* --- by password --- */

static void on_checked(LoginVerdict verdict, gpointer data)
{
    Request *request = data;
    request->caller->verdict = verdict;
    MHD_resume_connection(request->connection);
}

static gboolean take_verdict(Request *request, LoginVerdict verdict, enum MHD_Result *result)
{
    g_autoptr(User) user = g_steal_pointer(&request->caller->claimed);
    g_autofree char *name = g_steal_pointer(&request->caller->claimed_name);
    if (verdict == LOGIN_RIGHT) {
        become(request->caller, user);
        return TRUE;
    }
    *result = verdict == LOGIN_TOO_SOON ? access_too_soon(request, name)
              : verdict == LOGIN_BUSY   ? access_busy(request)
                                        : failed(request, name, "wrong user or password");
    return FALSE;
}

static gboolean by_password(Request *request, const char *name, const char *password, enum MHD_Result *result)
{
    Caller *caller = request->caller;
    if (!take_user(request, name, &caller->claimed, result)) {
        return FALSE;
    }
    const char *hash = caller->claimed == NULL ? NULL : caller->claimed->password;
    caller->claimed_name = g_strdup(name);
    LoginVerdict verdict = logins_recall(request->server->access->logins, caller->network, name, password, hash);
    if (verdict != LOGIN_UNKNOWN) {
        return take_verdict(request, verdict, result);
    }
    caller->waits = TRUE;
    watch_suspend(request->connection);
    MHD_suspend_connection(request->connection);
    logins_check(request->server->access->logins, caller->network, name, password, hash, on_checked, request);
    *result = MHD_YES;
    return FALSE;
}

/* --- the door --- */

static gboolean identify(Request *request, enum MHD_Result *result)
{
    g_auto(Authorization) shown = {0};
    authorization_parse(request_header(request, MHD_HTTP_HEADER_AUTHORIZATION), &shown);
    switch (shown.kind) {
    case AUTHORIZATION_NONE:
        return TRUE;
    case AUTHORIZATION_BASIC:
        return token_looks_like(shown.secret) ? by_long_token(request, shown.user, shown.secret, result)
                                              : by_password(request, shown.user, shown.secret, result);
    case AUTHORIZATION_BEARER:
        return token_looks_like(shown.secret) ? by_long_token(request, NULL, shown.secret, result)
                                              : by_access_token(request, shown.secret, result);
    default:
        *result = access_unauthorized(request, NULL, "invalid_request",
                                      "the Authorization header is neither Basic nor Bearer");
        return FALSE;
    }
}

gboolean door_open(Request *request, enum MHD_Result *result)
{
    if (door_waits(request)) {
        watch_resume(request->connection);
        request->caller->waits = FALSE;
        return take_verdict(request, request->caller->verdict, result);
    }
    g_autoptr(GError) error = NULL;
    gboolean any;
    request->caller = g_new0(Caller, 1);
    request->caller->network = client_network(request);
    /* A browser sends what a page of any site asks for, with the login that it keeps for us. */
    if (!request_is_read(request) && origin_is_cross_site(request)) {
        *result = request_refuse(request, MHD_HTTP_FORBIDDEN, "DENIED",
                                 "a page of another site may not change this registry");
        return FALSE;
    }
    if (!users_any(request->server->access->accounts, &any, &error)) {
        *result = request_fail(request, "UNKNOWN", error);
        return FALSE;
    }
    /* Where the last user was removed while others can reach it, it is closed. */
    if (!any && request->server->access->loopback) {
        if (!origin_is_local(request)) {
            *result = request_refuse(request, MHD_HTTP_FORBIDDEN, "DENIED",
                                     "this registry has no users, so it serves this machine alone: requests to a "
                                     "loopback name, through no proxy. Add a user (`ingotd user add`) to serve others");
            return FALSE;
        }
        request->caller->kind = CALLER_EVERYBODY;
        return TRUE;
    }
    return identify(request, result);
}

gboolean door_waits(const Request *request)
{
    return request->caller != NULL && request->caller->waits;
}

void door_close(Request *request)
{
    g_clear_pointer(&request->caller, caller_free);
}
