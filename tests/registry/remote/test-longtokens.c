/* $INGOT_TOKEN: which token is for which registry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ingot/error.h>
#include <string.h>

#include "remote/longtokens.h"

static void expect(const char *tokens, const char *named, const char *host, const char *scheme, const char *wanted)
{
    LongTokens all = {.tokens = tokens, .host = named};
    g_autofree char *token = NULL;
    g_autoptr(GError) error = NULL;
    assert_true(long_tokens_find(&all, host, scheme, &token, &error));
    if (wanted == NULL) {
        assert_null(token);
    } else {
        assert_string_equal(token, wanted);
    }
}

static void alone(void **state)
{
    (void)state;
    expect("ingot_a", NULL, "127.0.0.1:5000", "http", "ingot_a");
    expect("ingot_a", NULL, "[::1]:5000", "http", "ingot_a");
    expect("ingot_a", NULL, "localhost", "https", "ingot_a");
    expect("ingot_a", NULL, "registry.example", "https", NULL);
    expect("ingot_a", NULL, "127.0.0.1.evil.example", "https", NULL);
    expect("ingot_a", "registry.example", "registry.example", "https", "ingot_a");
    expect("ingot_a", "registry.example", "127.0.0.1:5000", "http", NULL);
    expect("YWI==", NULL, "127.0.0.1", "http", "YWI==");
    expect(NULL, NULL, "127.0.0.1", "http", NULL);
    expect(" \n", "registry.example", "registry.example", "https", NULL);
}

static void named(void **state)
{
    static const char all[] = "registry.example=ingot_a\n  lab.example:5000=YWI=\t[::1]:80=c  ingot_d\n";
    (void)state;
    expect(all, NULL, "registry.example", "https", "ingot_a");
    expect(all, NULL, "Registry.Example:443", "https", "ingot_a");
    expect(all, NULL, "registry.example:5000", "https", NULL);
    expect(all, NULL, "registry.example:443", "http", NULL);
    expect(all, NULL, "evil.registry.example", "https", NULL);
    expect(all, NULL, "lab.example:5000", "https", "YWI=");
    expect(all, NULL, "lab.example", "https", NULL);
    expect(all, NULL, "[::1]", "http", "c");
    expect(all, NULL, "127.0.0.1", "http", "ingot_d");
    expect(all, "other.example", "other.example", "https", "ingot_d");
    expect(all, "other.example", "127.0.0.1", "http", NULL);
}

static void unreadable(void **state)
{
    static const char *const texts[] = {
        "ingot_a ingot_b",        "registry.example/team=ingot_a", "=ingot_a",
        "http://a.example=token", "registry.example=tok\x01\x65n", "registry.example=a;b"};
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        LongTokens all = {.tokens = texts[i]};
        g_autofree char *token = NULL;
        g_autoptr(GError) error = NULL;
        assert_false(long_tokens_find(&all, "registry.example", "https", &token, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        assert_null(token);
        assert_null(strstr(error->message, "ingot_a"));
    }
    LongTokens all = {.tokens = "ingot_a", .host = "https://registry.example/"};
    g_autofree char *token = NULL;
    assert_false(long_tokens_find(&all, "registry.example", "https", &token, NULL));
}

static void homeless(void **state)
{
    (void)state;
    assert_true(long_tokens_is_homeless(&(LongTokens){.tokens = "a.example=b ingot_c"}));
    assert_false(long_tokens_is_homeless(&(LongTokens){.tokens = "a.example=b"}));
    assert_false(long_tokens_is_homeless(&(LongTokens){.tokens = "ingot_c", .host = "a.example"}));
    assert_false(long_tokens_is_homeless(&(LongTokens){.tokens = NULL}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(alone), cmocka_unit_test(named), cmocka_unit_test(unreadable),
                                       cmocka_unit_test(homeless)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
