#include "server/auth/bearer.h"

#include <ingot/reference.h>
#include <jwt.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "server/auth/accounts.h"
#include "server/auth/scopes.h"

#define ISSUER "ingot"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(jwt_t, jwt_free)

Grant *grant_new(const char *user, gint64 serial, const char *token)
{
    Grant *grant = g_new0(Grant, 1);
    grant->user = g_strdup(user);
    grant->serial = serial;
    grant->token = g_strdup(token);
    grant->rights = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return grant;
}

void grant_add(Grant *grant, const char *name, guint rights)
{
    guint all = rights | GPOINTER_TO_UINT(g_hash_table_lookup(grant->rights, name));
    g_hash_table_replace(grant->rights, g_strdup(name), GUINT_TO_POINTER(all));
}

void grant_free(Grant *grant)
{
    if (grant != NULL) {
        g_free(grant->user);
        g_free(grant->token);
        g_hash_table_unref(grant->rights);
        g_free(grant);
    }
}

/* --- writing --- */

static json_t *write_access(const Grant *grant)
{
    json_t *list = json_array();
    GHashTableIter iterator;
    gpointer name, rights;
    g_hash_table_iter_init(&iterator, grant->rights);
    while (g_hash_table_iter_next(&iterator, &name, &rights)) {
        json_t *actions = json_array();
        for (guint right = ACCESS_PULL; right <= ACCESS_ADMIN; right <<= 1) {
            if (GPOINTER_TO_UINT(rights) & right) {
                json_array_append_new(actions, json_string(access_right_name(right)));
            }
        }
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:o}", "type", "repository", "name", (const char *)name, "actions", actions));
    }
    if (grant->catalog) {
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:[s]}", "type", "registry", "name", "catalog", "actions", "*"));
    }
    return list;
}

char *bearer_issue(const guint8 *key, const Grant *grant, gint64 now, guint life)
{
    json_int_t end = now;
    end += life;
    g_autoptr(json_t) claims =
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:o}", "iss", ISSUER, "aud", ISSUER, "iat", (json_int_t)now, "exp", end,
                  "serial", (json_int_t)grant->serial, "access", write_access(grant));
    ingot_json_set_string(claims, "sub", grant->user);
    ingot_json_set_string(claims, "token", grant->token);
    if (grant->whole) {
        json_object_set_new(claims, "whole", json_true());
    }
    g_autofree char *text = ingot_json_canonical(claims);
    g_autoptr(jwt_t) jwt = NULL;
    if (jwt_new(&jwt) != 0 || jwt_add_grants_json(jwt, text) != 0 ||
        jwt_set_alg(jwt, JWT_ALG_HS256, key, ACCOUNTS_KEY_SIZE) != 0) {
        return NULL;
    }
    char *encoded = jwt_encode_str(jwt);
    char *copy = g_strdup(encoded);
    free(encoded);
    return copy;
}

/* --- reading --- */

static void read_access(const json_t *list, Grant *grant)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i), *actions = json_object_get(one, "actions");
        const char *type = json_string_value(json_object_get(one, "type"));
        const char *name = json_string_value(json_object_get(one, "name"));
        if (g_strcmp0(type, "registry") == 0) {
            grant->catalog = TRUE;
        }
        for (size_t j = 0; g_strcmp0(type, "repository") == 0 && name != NULL && j < json_array_size(actions); j++) {
            const char *action = json_string_value(json_array_get(actions, j));
            grant_add(grant, name, action == NULL ? 0 : access_right_parse(action));
        }
    }
}

/* Three parts of base64url: what libjwt is given is at least of the right form. */
static gboolean looks_like(const char *text)
{
    return g_regex_match_simple("^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$", text,
                                G_REGEX_DOLLAR_ENDONLY | G_REGEX_RAW, 0);
}

/* The claims of a token with our signature; NULL otherwise. */
static json_t *open_claims(const guint8 *key, const char *text)
{
    g_autoptr(jwt_t) jwt = NULL;
    /* libjwt checks by the algorithm that the token itself names: only one is ours. */
    if (!looks_like(text) || jwt_decode(&jwt, text, key, ACCOUNTS_KEY_SIZE) != 0 || jwt_get_alg(jwt) != JWT_ALG_HS256) {
        return NULL;
    }
    char *claims = jwt_get_grants_json(jwt, NULL);
    json_t *parsed = claims == NULL ? NULL : ingot_json_parse(claims, strlen(claims), "claims", NULL);
    free(claims);
    return parsed;
}

BearerVerdict bearer_check(const guint8 *key, const char *text, gint64 now, Grant **grant)
{
    g_autoptr(json_t) claims = open_claims(key, text);
    const char *issuer = json_string_value(json_object_get(claims, "iss"));
    const json_t *end = json_object_get(claims, "exp"), *begin = json_object_get(claims, "iat");
    if (g_strcmp0(issuer, ISSUER) != 0 || !json_is_integer(end) || !json_is_integer(begin)) {
        return BEARER_FORGED;
    }
    /* A clock that was set back makes a token of the future; it waits for its time. */
    if (json_integer_value(end) <= now || json_integer_value(begin) > now + BEARER_AHEAD) {
        return BEARER_EXPIRED;
    }
    *grant = grant_new(json_string_value(json_object_get(claims, "sub")),
                       json_integer_value(json_object_get(claims, "serial")),
                       json_string_value(json_object_get(claims, "token")));
    (*grant)->whole = json_is_true(json_object_get(claims, "whole"));
    read_access(json_object_get(claims, "access"), *grant);
    return BEARER_GOOD;
}
