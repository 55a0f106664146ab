#include "server/auth/door.h"

#include <ingot/error.h>
#include <string.h>

#include "server/auth/access.h"
#include "server/auth/caller.h"
#include "server/auth/recall.h"
#include "server/auth/shown.h"
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

/* In a loop: whether memory knows the row; else a pool has to read it. */
static gboolean door_recalls(Request *request, gboolean known)
{
    request->caller->unread |= !known;
    return known;
}

/* FALSE: *result is the answer, or the row is unread. */
static gboolean take_user(Request *request, const char *name, User **user, enum MHD_Result *result)
{
    g_autoptr(GError) error = NULL;
    if (!request->caller->reads) {
        return door_recalls(request, users_recall(request->server->access->accounts, name, user));
    }
    *user = users_find(request->server->access->accounts, name, &error);
    if (*user == NULL && !g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        *result = request_fail(request, "UNKNOWN", error);
        return FALSE;
    }
    return TRUE;
}

/* text: the token's, or its id alone. */
static gboolean take_token(Request *request, const char *text, gboolean id, Token **token, enum MHD_Result *result)
{
    g_autoptr(GError) error = NULL;
    Accounts *accounts = request->server->access->accounts;
    if (!request->caller->reads) {
        return door_recalls(request,
                            id ? tokens_recall_id(accounts, text, token) : tokens_recall(accounts, text, token));
    }
    *token = id ? tokens_find_id(accounts, text, &error) : tokens_find(accounts, text, &error);
    if (*token == NULL && !g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
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
    g_autoptr(Token) token = NULL;
    if (!take_token(request, text, FALSE, &token, result)) {
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
    g_autoptr(Token) token = NULL;
    if (!take_token(request, grant->token, TRUE, &token, result)) {
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
    g_free(caller->claimed_name);
    caller->claimed_name = g_strdup(name);
    LoginVerdict verdict = logins_recall(request->server->access->logins, caller->network, name, password, hash);
    if (verdict != LOGIN_UNKNOWN) {
        return take_verdict(request, verdict, result);
    }
    caller->checks = TRUE;
    *result = MHD_YES;
    return FALSE;
}

/* The last that is done with a suspended request here: it may go on at once. */
static void check_password(Request *request)
{
    const Caller *caller = request->caller;
    g_auto(Authorization) shown = {0};
    shown_read(request, &shown);
    logins_check(request->server->access->logins, caller->network, shown.user, shown.secret,
                 caller->claimed == NULL ? NULL : caller->claimed->password, on_checked, request);
}

/* --- the door --- */

static gboolean identify(Request *request, enum MHD_Result *result)
{
    g_auto(Authorization) shown = {0};
    shown_read(request, &shown);
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

static gboolean door_any(Request *request, gboolean *any, enum MHD_Result *result)
{
    g_autoptr(GError) error = NULL;
    Accounts *accounts = request->server->access->accounts;
    if (!request->caller->reads) {
        return door_recalls(request, recall_any(accounts, any));
    }
    AccountsKeys keys;
    accounts_keys(accounts, &keys); /* what has changed may be these: loops that go by memory need them too */
    accounts_keys_clear(&keys);
    if (!users_any(accounts, any, &error)) {
        *result = request_fail(request, "UNKNOWN", error);
        return FALSE;
    }
    return TRUE;
}

/* FALSE: *result is the answer, or a row is unread, or a password is to be checked. */
static gboolean door_decide(Request *request, enum MHD_Result *result)
{
    gboolean any;
    if (!door_any(request, &any, result)) {
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

/* In a pool: as door_decide, with the rows that are not in memory. What was found in a loop counts no more. */
static void door_read(gpointer data)
{
    Request *request = data;
    enum MHD_Result result = MHD_YES;
    request->caller->passed = door_decide(request, &result);
    if (request->caller->checks) {
        check_password(request);
    } else {
        MHD_resume_connection(request->connection);
    }
}

static void door_suspend(Request *request)
{
    request->caller->waits = TRUE;
    watch_suspend(request->connection);
    MHD_suspend_connection(request->connection);
}

static gboolean door_open_again(Request *request, enum MHD_Result *result)
{
    Caller *caller = request->caller;
    watch_resume(request->connection);
    caller->waits = FALSE;
    *result = MHD_YES;
    if (caller->crowded) {
        *result = access_busy(request);
        return FALSE;
    }
    return caller->checks ? take_verdict(request, caller->verdict, result) : caller->passed;
}

static Caller *door_new_caller(const Request *request)
{
    Caller *caller = g_new0(Caller, 1);
    caller->network = client_network(request);
    return caller;
}

gboolean door_open(Request *request, enum MHD_Result *result)
{
    if (door_waits(request)) {
        return door_open_again(request, result);
    }
    request->caller = door_new_caller(request);
    /* A browser sends what a page of any site asks for, with the login that it keeps for us. */
    if (!request_is_read(request) && origin_is_cross_site(request)) {
        *result = request_refuse(request, MHD_HTTP_FORBIDDEN, "DENIED",
                                 "a page of another site may not change this registry");
        return FALSE;
    }
    gboolean passed = door_decide(request, result);
    if (request->caller->unread) {
        caller_free(request->caller);
        request->caller = door_new_caller(request);
        request->caller->reads = TRUE;
        *result = MHD_YES;
        door_suspend(request);
        if (!work_pool_push(request->pools[POOL_READ], NULL, door_read, request)) {
            request->caller->crowded = TRUE;
            MHD_resume_connection(request->connection);
        }
    } else if (request->caller->checks) {
        door_suspend(request);
        check_password(request);
    }
    return passed;
}

gboolean door_waits(const Request *request)
{
    return request->caller != NULL && request->caller->waits;
}

void door_close(Request *request)
{
    g_clear_pointer(&request->caller, caller_free);
}
