#include "server/auth/issue.h"

#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "server/auth/access.h"
#include "server/auth/caller.h"
#include "server/auth/challenge.h"
#include "server/server.h"

#define SCOPES_MAX 64       /* more are left out */
#define FORM_MAX (8u << 10) /* bytes */

typedef struct {
    const Request *request;
    Grant *grant;
    guint count;
} Asked;

static void add_scope(Asked *asked, const char *text)
{
    g_autofree char *name = NULL;
    guint wanted;
    if (asked->count++ >= SCOPES_MAX || !challenge_read_scope(text, &name, &wanted)) {
        return;
    }
    if (name == NULL) {
        asked->grant->catalog = access_may_list(asked->request);
        return;
    }
    guint given = access_rights(asked->request, name) & wanted;
    if (given != 0) {
        grant_add(asked->grant, name, given);
    }
}

static enum MHD_Result on_argument(void *user, enum MHD_ValueKind kind, const char *key, const char *value)
{
    (void)kind;
    if (strcmp(key, "scope") == 0 && value != NULL) {
        g_auto(GStrv) scopes = g_strsplit(value, " ", -1);
        for (guint i = 0; scopes[i] != NULL; i++) {
            add_scope(user, scopes[i]);
        }
    }
    return MHD_YES;
}

static enum MHD_Result answer(Request *request, const Grant *grant)
{
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    const Access *access = request->server->access;
    g_auto(AccountsKeys) keys;
    accounts_keys(access->accounts, &keys);
    g_autofree char *token = bearer_issue(keys.bytes[0], grant, now, access->token_life);
    if (token == NULL) {
        return request_refuse(request, MHD_HTTP_INTERNAL_SERVER_ERROR, "UNKNOWN", "no token could be made");
    }
    g_autofree char *issued = ingot_text_time(now);
    g_autoptr(json_t) body = json_pack("{s:s, s:s, s:s, s:i, s:s}", "token", token, "access_token", token, "token_type",
                                       "Bearer", "expires_in", (int)access->token_life, "issued_at", issued);
    g_autofree char *text = ingot_json_canonical(body);
    return request_answer(request, MHD_HTTP_OK, "application/json", text, strlen(text), "Cache-Control", "no-store",
                          NULL);
}

enum MHD_Result issue_token(Request *request)
{
    const Caller *caller = request->caller;
    if (caller->grant != NULL || (caller->kind == CALLER_NOBODY && request->server->access->anonymous == 0)) {
        return access_unauthorized(request, NULL, NULL, "log in with a name and a password or a token");
    }
    g_autoptr(Grant) grant = grant_new(caller->user, caller->serial, caller->token);
    Asked asked = {.request = request, .grant = grant};
    MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, on_argument, &asked);
    return answer(request, grant);
}

/* --- by the credentials of a client --- */

static enum MHD_Result refuse_client(Request *request, guint status, const char *error, const char *description)
{
    g_autoptr(json_t) body = json_pack("{s:s, s:s}", "error", error, "error_description", description);
    g_autofree char *text = ingot_json_canonical(body);
    const char *challenge = status == MHD_HTTP_UNAUTHORIZED ? "Basic realm=\"ingot\", charset=\"UTF-8\"" : NULL;
    return request_answer(request, status, "application/json", text, strlen(text), "Cache-Control", "no-store",
                          "WWW-Authenticate", challenge, NULL);
}

static gboolean asks_for_credentials(const Request *request)
{
    g_autofree char *form = g_strndup((const char *)request->body->data, request->body->len);
    g_autoptr(GHashTable) members = g_uri_parse_params(form, -1, "&", G_URI_PARAMS_WWW_FORM, NULL);
    const char *type = members == NULL ? NULL : g_hash_table_lookup(members, "grant_type");
    return g_strcmp0(type, "client_credentials") == 0;
}

static enum MHD_Result issue_whole(Request *request, const RouteMatch *match)
{
    const Caller *caller = request->caller;
    (void)match;
    if (caller->grant != NULL || caller->kind == CALLER_NOBODY) {
        return refuse_client(request, MHD_HTTP_UNAUTHORIZED, "invalid_client",
                             "the client's id and secret are a user's name and a token, by HTTP Basic");
    }
    if (!asks_for_credentials(request)) {
        return refuse_client(request, MHD_HTTP_BAD_REQUEST, "unsupported_grant_type",
                             "grant_type=client_credentials is expected");
    }
    g_autoptr(Grant) grant = grant_new(caller->user, caller->serial, caller->token);
    grant->whole = grant->catalog = TRUE;
    return answer(request, grant);
}

const Route issue_routes[] = {
    {.methods = "POST",
     .pattern = "/oauth2/token",
     .name = "token",
     .pool = POOL_READ,
     .body_max = FORM_MAX,
     .answer = issue_whole},
    {0},
};
