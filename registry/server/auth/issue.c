#include "server/auth/issue.h"

#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "server/auth/access.h"
#include "server/auth/caller.h"
#include "server/auth/challenge.h"
#include "server/server.h"

#define SCOPES_MAX 64 /* more are left out */

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
    g_autoptr(json_t) body = json_pack("{s:s, s:s, s:i, s:s}", "token", token, "access_token", token, "expires_in",
                                       (int)access->token_life, "issued_at", issued);
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
