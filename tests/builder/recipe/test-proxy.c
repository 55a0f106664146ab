/* Proxy settings of this host as a guest needs them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <glib/gstdio.h>

#include "base/file.h"
#include "base/secrets.h"
#include "recipe/proxy.h"

static const char *const names[] = {"http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy",
                                    "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY"};

static int forget_settings(void **state)
{
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_unsetenv(names[i]);
    }
    return 0;
}

/* The settings of a recipe with these lines, one after the other. */
static char *settings(const char *lines)
{
    g_autofree char *folder = g_dir_make_tmp("ingot-proxy-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "a.yaml", NULL);
    g_autofree char *text = g_strconcat("name: x\nsource: {from: y}\n", lines, NULL);
    assert_true(g_file_set_contents(path, text, -1, NULL));
    g_autoptr(Recipe) recipe = recipe_load(path, NULL, NULL);
    assert_non_null(recipe);
    assert_true(ingot_file_remove_tree(folder, NULL));
    g_auto(GStrv) pairs = proxy_environment(recipe, PROXY_HOST);
    return g_strjoinv(" ", pairs);
}

static void nothing_is_passed_where_nothing_is_set(void **state)
{
    (void)state;
    g_autofree char *none = settings("");
    assert_string_equal(none, "");
    g_setenv("no_proxy", "a.example", TRUE);
    g_setenv("http_proxy", "", TRUE);
    g_autofree char *empty = settings("");
    assert_string_equal(empty, "");
}

static void a_login_is_seen(void **state)
{
    (void)state;
    assert_false(proxy_has_login((const char *const[]){NULL}));
    assert_false(proxy_has_login((const char *const[]){"http_proxy=http://p:3128/", "no_proxy=a,b", NULL}));
    assert_true(
        proxy_has_login((const char *const[]){"http_proxy=http://p:3128/", "https_proxy=http://me:word@p/", NULL}));
    assert_true(proxy_has_login((const char *const[]){"http_proxy=me@p:3128", NULL}));
}

static void settings_are_passed_in_both_cases(void **state)
{
    (void)state;
    g_setenv("HTTPS_PROXY", "http://proxy.example:3128", TRUE);
    g_setenv("no_proxy", ".example", TRUE);
    g_autofree char *passed = settings("");
    assert_string_equal(passed, "https_proxy=http://proxy.example:3128 HTTPS_PROXY=http://proxy.example:3128 "
                                "no_proxy=.example,localhost,127.0.0.1,::1 NO_PROXY=.example,localhost,127.0.0.1,::1");
    g_autofree char *off = settings("session: {proxy: off}\n");
    assert_string_equal(off, "");
}

static void expect_proxy(const char *here, const char *there)
{
    g_setenv("http_proxy", here, TRUE);
    g_autofree char *all = settings("");
    g_autofree char *wanted = g_strdup_printf("http_proxy=%s ", there);
    if (!g_str_has_prefix(all, wanted)) {
        fail_msg("%s became %s", here, all);
    }
}

static void a_proxy_of_this_host_is_named_as_the_guest_sees_it(void **state)
{
    (void)state;
    expect_proxy("http://127.0.0.1:3128/", "http://" PROXY_HOST ":3128/");
    expect_proxy("http://127.8.9.1:3128", "http://" PROXY_HOST ":3128");
    expect_proxy("localhost:3128", "http://" PROXY_HOST ":3128");
    expect_proxy("socks5h://[::1]:1080", "socks5h://" PROXY_HOST ":1080");
    expect_proxy("http://me:s%40ys3cret@localhost:3128", "http://me:s%40ys3cret@" PROXY_HOST ":3128");
    expect_proxy("http://10.1.2.3:3128", "http://10.1.2.3:3128");
    expect_proxy("proxy.example:3128", "proxy.example:3128");
    expect_proxy("127.example:3128", "127.example:3128");
}

static void a_proxys_password_is_masked(void **state)
{
    (void)state;
    expect_proxy("http://me:h%40rdw0rd@proxy.example:3128", "http://me:h%40rdw0rd@proxy.example:3128");
    g_autofree char *masked = ingot_secrets_mask_all("me:h%40rdw0rd h%40rdw0rd h@rdw0rd");
    assert_string_equal(masked, "*** *** ***");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_is_passed_where_nothing_is_set, forget_settings),
        cmocka_unit_test_setup(a_login_is_seen, forget_settings),
        cmocka_unit_test_setup(settings_are_passed_in_both_cases, forget_settings),
        cmocka_unit_test_setup(a_proxy_of_this_host_is_named_as_the_guest_sees_it, forget_settings),
        cmocka_unit_test_setup(a_proxys_password_is_masked, forget_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
