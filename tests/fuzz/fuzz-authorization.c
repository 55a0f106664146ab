/* What strangers write before they have logged in: each line is an Authorization header, docker's scope, a scope, a
 * token, and what a registry asks a client for, all at once. */
#include <string.h>

#include "fuzz.h"
#include "remote/challenges.h"
#include "server/auth/authorization.h"
#include "server/auth/bearer.h"
#include "server/auth/challenge.h"
#include "server/auth/scopes.h"
#include "server/auth/tokens.h"

static gboolean is_plain(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if ((guchar)*c < 0x20 || *c == 0x7f) {
            return FALSE;
        }
    }
    return g_utf8_validate(text, -1, NULL);
}

static void try_header(const char *text)
{
    g_auto(Authorization) found = {0};
    authorization_parse(text, &found);
    g_assert((found.user != NULL) == (found.kind == AUTHORIZATION_BASIC));
    g_assert((found.secret != NULL) == (found.kind == AUTHORIZATION_BASIC || found.kind == AUTHORIZATION_BEARER));
    g_assert(found.user == NULL || (is_plain(found.user) && strchr(found.user, ':') == NULL));
    g_assert(found.secret == NULL || is_plain(found.secret));
    g_assert(!token_looks_like(text) || strlen(text) == strlen("ingot__") + 12 + 64);
}

/* Nobody has our key. */
static void try_token(const char *text)
{
    static const guint8 key[32] = {1, 2, 3};
    g_autoptr(Grant) grant = NULL;
    g_assert(bearer_check(key, text, 0, &grant) == BEARER_FORGED);
    g_assert(grant == NULL);
}

/* What covers gives at least as much, also on the pattern itself where that is a name. */
static void try_scope(const char *text)
{
    g_autofree char *name = NULL;
    guint rights;
    const char *const scopes[] = {text, NULL};
    if (challenge_read_scope(text, &name, &rights) && name != NULL) {
        g_assert(strpbrk(name, "\"*: ,") == NULL && rights <= ACCESS_ALL);
        g_autofree char *header = challenge_bearer("https://a.example", text, NULL);
        g_autofree char *written = challenge_scope(name, rights);
        g_assert(header != NULL && strstr(written, name) != NULL);
    }
    if (scope_check(text, NULL)) {
        g_assert(scopes_cover(scopes, text));
        g_assert(scopes_rights(scopes, strchr(text, ':') + 1) != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i] != NULL; i++) {
        try_header(lines[i]);
        try_token(lines[i]);
        try_scope(lines[i]);
    }
    g_autoptr(GPtrArray) challenges = challenges_parse(text);
    for (guint i = 0; i < challenges->len; i++) {
        g_assert(((Challenge *)g_ptr_array_index(challenges, i))->scheme[0] != '\0');
    }
    return 0;
}
