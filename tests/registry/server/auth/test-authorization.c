/* The Authorization header: the two forms, their edges, and what is neither. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "server/auth/authorization.h"

static void expect_basic(const char *header, const char *user, const char *secret)
{
    g_auto(Authorization) found = {0};
    authorization_parse(header, &found);
    assert_int_equal(found.kind, AUTHORIZATION_BASIC);
    assert_string_equal(found.user, user);
    assert_string_equal(found.secret, secret);
}

static char *basic(const char *pair, gsize size)
{
    g_autofree char *text = g_base64_encode((const guchar *)pair, size);
    return g_strconcat("Basic ", text, NULL);
}

static void good_basic(void **state)
{
    static const char pair[] = "üser:pässwörd";
    (void)state;
    expect_basic("Basic YWxpY2U6c2VjcmV0", "alice", "secret");
    expect_basic("basic   YWxpY2U6c2VjcmV0", "alice", "secret");
    expect_basic("BASIC YWxpY2U6YTpiOmM=", "alice", "a:b:c");
    expect_basic("Basic Og==", "", "");
    g_autofree char *header = basic(pair, strlen(pair));
    expect_basic(header, "üser", "pässwörd");
}

static void good_bearer(void **state)
{
    g_auto(Authorization) found = {0};
    (void)state;
    authorization_parse("Bearer abc.DEF-1_2~3+4/5==", &found);
    assert_int_equal(found.kind, AUTHORIZATION_BEARER);
    assert_string_equal(found.secret, "abc.DEF-1_2~3+4/5==");
    assert_null(found.user);
}

static void expect_broken(const char *header)
{
    g_auto(Authorization) found = {0};
    authorization_parse(header, &found);
    if (found.kind != AUTHORIZATION_BROKEN) {
        fail_msg("'%s' is kind %d", header, (int)found.kind);
    }
    assert_null(found.user);
    assert_null(found.secret);
}

static void broken(void **state)
{
    static const char *const headers[] = {
        "",
        "Basic",
        "Basic ",
        "BasicYWxpY2U6c2VjcmV0",
        "Basic YWxpY2U6c2VjcmV0 ",
        "Basic YWxpY2U6c2VjcmV",
        "Basic YWxp=Y2U6c2Vjcm",
        "Basic YWxpY2U6c2VjcmV0====",
        "Basic !!!!",
        "Basic YWxpY2U=", /* no colon */
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Bearer =",
        "Bearer a=b",
        "Bearer \"a\"",
        "Bearer a,b",
        "Digest username=\"alice\"",
        "Negotiate YWxpY2U6c2VjcmV0",
        "YWxpY2U6c2VjcmV0",
    };
    static const struct {
        const char *pair;
        gsize size;
    } pairs[] = {{"alice:sec\0ret", 13}, {"alice\0:secret", 13}, {"alice:sec\nret", 13},
                 {"alice:\x7f", 7},      {"alice:\xff\xfe", 8},  {"alice", 5}};
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(headers); i++) {
        expect_broken(headers[i]);
    }
    for (guint i = 0; i < G_N_ELEMENTS(pairs); i++) {
        g_autofree char *header = basic(pairs[i].pair, pairs[i].size);
        expect_broken(header);
    }
    g_autofree char *tail = g_strnfill(20000, 'a'), *large = g_strconcat("Bearer ", tail, NULL);
    expect_broken(large);
}

static void none(void **state)
{
    g_auto(Authorization) found = {0};
    (void)state;
    authorization_parse(NULL, &found);
    assert_int_equal(found.kind, AUTHORIZATION_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_basic),
        cmocka_unit_test(good_bearer),
        cmocka_unit_test(broken),
        cmocka_unit_test(none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
