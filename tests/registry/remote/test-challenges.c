/* WWW-Authenticate as registries write it, and as none should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "remote/challenges.h"

static const char *get(const GPtrArray *list, const char *scheme, const char *name)
{
    const Challenge *one = challenges_find(list, scheme);
    return one == NULL ? NULL : challenge_get(one, name);
}

static void usual_ones(void **state)
{
    (void)state;
    g_autoptr(GPtrArray) one = challenges_parse(
        "Bearer "
        "realm=\"https://auth.example/token?a=b\",service=\"registry.example\",scope=\"repository:a/b:pull,push\"");
    assert_int_equal(one->len, 1);
    assert_string_equal(get(one, "bearer", "realm"), "https://auth.example/token?a=b");
    assert_string_equal(get(one, "bearer", "service"), "registry.example");
    assert_string_equal(get(one, "bearer", "scope"), "repository:a/b:pull,push");
    assert_null(get(one, "bearer", "error"));
    assert_null(challenges_find(one, "basic"));

    g_autoptr(GPtrArray) lines = challenges_parse("Bearer realm=\"r\"\nBasic realm=\"ingot\", charset=\"UTF-8\"");
    assert_int_equal(lines->len, 2);
    assert_string_equal(get(lines, "basic", "charset"), "UTF-8");

    g_autoptr(GPtrArray) line = challenges_parse("Negotiate, BASIC  Realm = \"a\\\"b\" ,x=y, bearer realm=\"r\"");
    assert_int_equal(line->len, 3);
    assert_string_equal(get(line, "basic", "realm"), "a\"b");
    assert_string_equal(get(line, "basic", "x"), "y");
    assert_string_equal(get(line, "bearer", "realm"), "r");
}

static void odd_ones(void **state)
{
    static const char *const texts[] = {"",
                                        ",",
                                        "=",
                                        "=x",
                                        "\"",
                                        "a=b",
                                        "Basic \"",
                                        "Bearer a=",
                                        "Bearer a=\"",
                                        "Bearer a=\"\\",
                                        "Bearer a=b=c",
                                        "\n\n,\n",
                                        "Bearer =",
                                        "Bearer ,,,",
                                        "Bearer \x80=1",
                                        "a b c d=e f"};
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GPtrArray) list = challenges_parse(texts[i]);
        for (guint j = 0; j < list->len; j++) {
            assert_true(strlen(((Challenge *)list->pdata[j])->scheme) > 0);
        }
    }
    g_autoptr(GPtrArray) none = challenges_parse(NULL);
    assert_int_equal(none->len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(usual_ones), cmocka_unit_test(odd_ones)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
