/* Docker's scope texts and challenges, both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/auth/challenge.h"

static void expect(const char *text, const char *name, guint rights)
{
    g_autofree char *found = NULL;
    guint given;
    assert_true(challenge_read_scope(text, &found, &given));
    if (name == NULL) {
        assert_null(found);
    } else {
        assert_string_equal(found, name);
    }
    assert_int_equal(given, rights);
}

static void scopes_are_read(void **state)
{
    static const char *const bad[] = {
        "",
        "repository",
        "repository:",
        "repository:a",
        "repository::pull",
        "repository:A:pull",
        "registry:*",
        "repository:*:pull",
        "repository:a/:pull",
        "repository:a:b:pull",
        "other:a:pull",
        "registry:catalog:x",
    };
    (void)state;
    expect("repository:team/web:pull", "team/web", ACCESS_PULL);
    expect("repository:a:pull,push", "a", ACCESS_PULL | ACCESS_PUSH | ACCESS_PROMOTE);
    expect("repository:a:push", "a", ACCESS_PUSH | ACCESS_PROMOTE);
    expect("repository:a:delete", "a", ACCESS_PROMOTE | ACCESS_DELETE);
    expect("repository:a:promote,delete", "a", ACCESS_PROMOTE | ACCESS_DELETE);
    expect("repository:a:*", "a", ACCESS_ALL);
    expect("repository:a:", "a", 0);
    expect("repository:a:metadata_read,pull", "a", ACCESS_PULL);
    expect("registry:catalog:*", NULL, 0);
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *name = NULL;
        guint rights;
        if (challenge_read_scope(bad[i], &name, &rights)) {
            fail_msg("'%s' is a scope of '%s'", bad[i], name);
        }
    }
}

static void scopes_are_written(void **state)
{
    (void)state;
    g_autofree char *pull = challenge_scope("team/web", ACCESS_PULL), *push = challenge_scope("a", ACCESS_PUSH);
    g_autofree char *promote = challenge_scope("a", ACCESS_PROMOTE), *del = challenge_scope("a", ACCESS_DELETE);
    g_autofree char *catalog = challenge_scope(NULL, ACCESS_PULL);
    assert_string_equal(pull, "repository:team/web:pull");
    assert_string_equal(push, "repository:a:pull,push");
    assert_string_equal(promote, "repository:a:pull,push");
    assert_string_equal(del, "repository:a:delete");
    assert_string_equal(catalog, "registry:catalog:*");
}

static void challenges(void **state)
{
    (void)state;
    g_autofree char *full =
        challenge_bearer("https://registry.example:5000", "repository:a:pull", "insufficient_scope");
    g_autofree char *bare = challenge_bearer("http://[::1]:5000", NULL, NULL);
    assert_string_equal(full,
                        "Bearer realm=\"https://registry.example:5000/token\",service=\"ingot\",scope=\"repository:a:"
                        "pull\",error=\"insufficient_scope\"");
    assert_string_equal(bare, "Bearer realm=\"http://[::1]:5000/token\",service=\"ingot\"");
    assert_null(challenge_bearer(NULL, NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scopes_are_read),
        cmocka_unit_test(scopes_are_written),
        cmocka_unit_test(challenges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
