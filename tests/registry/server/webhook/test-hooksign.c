/* Signatures, against those of the openssl command. */
#include "../fixture.h"

#include "base/process.h"
#include "server/webhook/hooksign.h"

#define SECRET "a secret of both sides"

/* "sha256=…" by the openssl command; free it. */
static char *by_openssl(void **state, const char *secret, const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = ingot_workdir_file(*state, "text");
    g_autofree char *option = g_strconcat("key:", secret, NULL);
    const char *const argv[] = {"openssl", "mac", "-digest", "SHA256", "-macopt", option, "-in", path, "HMAC", NULL};
    assert_true(g_file_set_contents(path, text, -1, NULL));
    g_autofree char *hex = ingot_process_output(argv, &error);
    if (hex == NULL) {
        fail_msg("%s", error->message);
    }
    g_autofree char *low = g_ascii_strdown(g_strstrip(hex), -1);
    return g_strconcat("sha256=", low, NULL);
}

static void test_as_openssl(void **state)
{
    static const char *const bodies[] = {"", "{}", "{\"id\":\"event-1\",\"kind\":\"push\",\"name\":\"t\xc3\xa4st\"}"};
    for (guint i = 0; i < G_N_ELEMENTS(bodies); i++) {
        g_autofree char *text = g_strconcat("1764498904.", bodies[i], NULL);
        g_autofree char *expected = by_openssl(state, SECRET, text);
        g_autofree char *signature = hook_sign(SECRET, "1764498904", bodies[i], strlen(bodies[i]));
        assert_string_equal(signature, expected);
        assert_true(hook_verify(SECRET, "1764498904", bodies[i], strlen(bodies[i]), expected));
    }
}

static void test_nothing_else_counts(void **state)
{
    g_autofree char *signature = hook_sign(SECRET, "17", "{}", 2);
    g_autofree char *flipped = g_strdup(signature);
    (void)state;
    flipped[strlen(flipped) - 1] ^= 1;
    assert_false(hook_verify(SECRET, "17", "{}", 2, flipped));
    assert_false(hook_verify(SECRET, "18", "{}", 2, signature));
    assert_false(hook_verify(SECRET, "17", "[]", 2, signature));
    assert_false(hook_verify("another secret of both", "17", "{}", 2, signature));
    assert_false(hook_verify(SECRET, "17", "{}", 2, signature + strlen("sha256=")));
    assert_false(hook_verify(SECRET, "17", "{}", 2, ""));
    assert_false(hook_verify(SECRET, "17", "{}", 2, NULL));
}

static void test_secrets(void **state)
{
    g_autofree char *longest = g_strnfill(HOOK_SECRET_MOST, 'a'), *longer = g_strnfill(HOOK_SECRET_MOST + 1, 'a');
    (void)state;
    assert_true(hook_secret_check(SECRET, NULL));
    assert_true(hook_secret_check(longest, NULL));
    assert_false(hook_secret_check(longer, NULL));
    assert_false(hook_secret_check("fifteen letters", NULL));
    assert_false(hook_secret_check("a secret of\ntwo lines", NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_as_openssl, set_up, tear_down),
                                       cmocka_unit_test(test_nothing_else_counts), cmocka_unit_test(test_secrets)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
