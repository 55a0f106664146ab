/* Access tokens: what goes in comes out; other keys, other algorithms, other times and other bytes don't. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jwt.h>
#include <stdlib.h>
#include <string.h>

#include "server/auth/bearer.h"
#include "server/auth/caller.h"
#include "server/auth/scopes.h"

#define NOW 1700000000
#define LIFE 3600

static const guint8 key[32] = "0123456789abcdef0123456789abcdef";
static const guint8 other[32] = "0123456789abcdef0123456789abcdeg";

static char *issue(void)
{
    g_autoptr(Grant) grant = grant_new("alice", 42, "0123456789ab");
    grant_add(grant, "team/web", ACCESS_PULL | ACCESS_PUSH);
    grant_add(grant, "team/base", ACCESS_PULL);
    return bearer_issue(key, grant, NOW, LIFE);
}

static BearerVerdict verdict_of(const char *text, gint64 now)
{
    g_autoptr(Grant) grant = NULL;
    return bearer_check(key, text, now, &grant);
}

static void comes_back(void **state)
{
    g_autofree char *text = issue();
    g_autoptr(Grant) grant = NULL;
    (void)state;
    assert_int_equal(bearer_check(key, text, NOW + 1, &grant), BEARER_GOOD);
    assert_string_equal(grant->user, "alice");
    assert_int_equal(grant->serial, 42);
    assert_string_equal(grant->token, "0123456789ab");
    assert_false(grant->catalog);
    assert_int_equal(g_hash_table_size(grant->rights), 2);
    assert_int_equal(GPOINTER_TO_UINT(g_hash_table_lookup(grant->rights, "team/web")), ACCESS_PULL | ACCESS_PUSH);
}

static void nobodys(void **state)
{
    g_autoptr(Grant) grant = grant_new(NULL, 0, NULL), back = NULL;
    (void)state;
    grant->catalog = TRUE;
    g_autofree char *text = bearer_issue(key, grant, NOW, LIFE);
    assert_int_equal(bearer_check(key, text, NOW, &back), BEARER_GOOD);
    assert_null(back->user);
    assert_null(back->token);
    assert_true(back->catalog);
}

/* One for all that its user may: on every name, and no more than the user. */
static void whole(void **state)
{
    g_autoptr(Grant) grant = grant_new("alice", 42, NULL), back = NULL;
    char *scopes[] = {"push:team/*", NULL};
    (void)state;
    grant->whole = TRUE;
    g_autofree char *text = bearer_issue(key, grant, NOW, LIFE);
    assert_int_equal(bearer_check(key, text, NOW, &back), BEARER_GOOD);
    assert_true(back->whole);
    const Caller caller = {.kind = CALLER_USER, .scopes = scopes, .grant = back};
    assert_int_equal(caller_rights(&caller, 0, "team/a"), ACCESS_PULL | ACCESS_PUSH);
    assert_int_equal(caller_rights(&caller, 0, "other/a"), 0);
}

static void ends(void **state)
{
    g_autofree char *text = issue();
    (void)state;
    assert_int_equal(verdict_of(text, NOW + LIFE - 1), BEARER_GOOD);
    assert_int_equal(verdict_of(text, NOW + LIFE), BEARER_EXPIRED);
    assert_int_equal(verdict_of(text, NOW - BEARER_AHEAD - 1), BEARER_EXPIRED);
}

static void another_key(void **state)
{
    g_autofree char *text = issue();
    g_autoptr(Grant) grant = NULL;
    (void)state;
    assert_int_equal(bearer_check(other, text, NOW, &grant), BEARER_FORGED);
    assert_null(grant);
}

/* A token with our key, but another algorithm or other claims. */
static char *forge(jwt_alg_t algorithm, const char *claims)
{
    jwt_t *jwt = NULL;
    gboolean none = algorithm == JWT_ALG_NONE;
    assert_int_equal(jwt_new(&jwt), 0);
    assert_int_equal(jwt_add_grants_json(jwt, claims), 0);
    assert_int_equal(jwt_set_alg(jwt, algorithm, none ? NULL : key, none ? 0 : sizeof key), 0);
    char *text = jwt_encode_str(jwt), *copy = g_strdup(text);
    free(text);
    jwt_free(jwt);
    return copy;
}

static void another_algorithm(void **state)
{
    static const char claims[] = "{\"iss\":\"ingot\",\"iat\":1700000000,\"exp\":1700000300,\"access\":[]}";
    static const jwt_alg_t wrong[] = {JWT_ALG_NONE, JWT_ALG_HS384, JWT_ALG_HS512};
    (void)state;
    g_autofree char *right = forge(JWT_ALG_HS256, claims);
    assert_int_equal(verdict_of(right, NOW), BEARER_GOOD);
    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autofree char *text = forge(wrong[i], claims);
        assert_int_equal(verdict_of(text, NOW), BEARER_FORGED);
        g_autofree char *signed_too = g_strconcat(text, "AAAA", NULL);
        assert_int_equal(verdict_of(signed_too, NOW), BEARER_FORGED);
    }
}

static void other_claims(void **state)
{
    static const char *const claims[] = {
        "{\"iss\":\"ingot\",\"iat\":1700000000}",
        "{\"iss\":\"ingot\",\"exp\":1700000300}",
        "{\"iat\":1700000000,\"exp\":1700000300}",
        "{\"iss\":\"other\",\"iat\":1700000000,\"exp\":1700000300}",
        "{\"iss\":\"ingot\",\"iat\":1700000000,\"exp\":\"1700000300\"}",
        "{\"iss\":\"ingot\",\"iat\":1700000000,\"exp\":true}",
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(claims); i++) {
        g_autofree char *text = forge(JWT_ALG_HS256, claims[i]);
        assert_int_equal(verdict_of(text, NOW), BEARER_FORGED);
    }
    g_autofree char *odd =
        forge(JWT_ALG_HS256, "{\"iss\":\"ingot\",\"iat\":1700000000,\"exp\":1700000300,\"access\":"
                             "[1,{\"type\":\"repository\"},{\"type\":\"repository\",\"name\":\"a\","
                             "\"actions\":[\"*\",1,\"pull\"]},{\"name\":\"b\",\"actions\":[\"pull\"]}]}");
    g_autoptr(Grant) grant = NULL;
    assert_int_equal(bearer_check(key, odd, NOW, &grant), BEARER_GOOD);
    assert_int_equal(GPOINTER_TO_UINT(g_hash_table_lookup(grant->rights, "a")), ACCESS_PULL);
    assert_null(g_hash_table_lookup(grant->rights, "b"));
}

/* Every byte counts but the unused bits of the signature's last digit, which this leaves alone. */
static void changed_bytes(void **state)
{
    g_autofree char *text = issue();
    (void)state;
    for (gsize i = 0; i + 1 < strlen(text); i++) {
        g_autofree char *changed = g_strdup(text);
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        if (verdict_of(changed, NOW) != BEARER_FORGED) {
            fail_msg("byte %zu", i);
        }
    }
    static const char *const odd[] = {"", ".", "..", "a.b.c", "a.b", "a.b.c.d", "a b.c.d", "eyJhbGciOiJub25lIn0.e30."};
    for (guint i = 0; i < G_N_ELEMENTS(odd); i++) {
        assert_int_equal(verdict_of(odd[i], NOW), BEARER_FORGED);
    }
}

/* What a caller may do: the least of all that was shown. */
static void narrows(void **state)
{
    char *scopes[] = {"push:*", NULL}, *narrow[] = {"push:team/*", "delete:team/*", NULL};
    Caller caller = {.kind = CALLER_NOBODY};
    (void)state;
    assert_int_equal(caller_rights(&caller, 0, "a"), 0);
    assert_int_equal(caller_rights(&caller, ACCESS_PULL, "a"), ACCESS_PULL);
    caller.kind = CALLER_EVERYBODY;
    assert_int_equal(caller_rights(&caller, 0, "a"), ACCESS_ALL);
    caller.kind = CALLER_USER;
    caller.scopes = scopes;
    assert_int_equal(caller_rights(&caller, 0, "a"), ACCESS_PULL | ACCESS_PUSH);
    caller.token = "0123456789ab";
    caller.narrow = narrow;
    assert_int_equal(caller_rights(&caller, 0, "a"), 0);
    assert_int_equal(caller_rights(&caller, 0, "team/a"), ACCESS_PULL | ACCESS_PUSH);
    g_autoptr(Grant) grant = grant_new("alice", 1, NULL);
    grant_add(grant, "team/a", ACCESS_PUSH | ACCESS_DELETE);
    caller.grant = grant;
    assert_int_equal(caller_rights(&caller, ACCESS_PULL, "team/a"), ACCESS_PUSH);
    assert_int_equal(caller_rights(&caller, ACCESS_PULL, "team/b"), 0);
    assert_int_equal(caller_rights_beyond(&caller, 0, "team/b"), ACCESS_PULL | ACCESS_PUSH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back),   cmocka_unit_test(nobodys),       cmocka_unit_test(whole),
        cmocka_unit_test(ends),         cmocka_unit_test(another_key),   cmocka_unit_test(another_algorithm),
        cmocka_unit_test(other_claims), cmocka_unit_test(changed_bytes), cmocka_unit_test(narrows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
