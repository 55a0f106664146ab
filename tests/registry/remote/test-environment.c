/* The options that the environment stands for, and that nothing else asks it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "remote/environment.h"

static void unset_all(void)
{
    static const char *const names[] = {"INGOT_CA",   "INGOT_PLAIN_HTTP", "INGOT_TOKEN",        "INGOT_TOKEN_HOST",
                                        "http_proxy", "INGOT_TIMEOUT",    "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR",
                                        "HTTP_PROXY", "REQUEST_METHOD",   "DOCKER_CONFIG",      "NO_PROXY",
                                        "no_proxy",   "INGOT_POLICY"};
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_unsetenv(names[i]);
    }
}

static void nothing_is_set(void **state)
{
    (void)state;
    unset_all();
    g_autoptr(IngotRemoteOptions) options = ingot_remote_options_from_environment();
    assert_null(options->ca);
    assert_null(options->plain_http);
    assert_null(options->tokens);
    assert_null(options->http_proxy);
    assert_null(options->no_proxy);
    assert_null(options->timeout);
    assert_int_equal(g_strv_length((char **)options->logins), 1);
    assert_true(g_str_has_suffix(options->docker_logins, "/.docker/config.json"));
}

static void all_is_set(void **state)
{
    (void)state;
    unset_all();
    g_setenv("INGOT_CA", "/ca.pem", TRUE);
    g_setenv("INGOT_PLAIN_HTTP", "lab.example", TRUE);
    g_setenv("INGOT_TOKEN", "a.example=b", TRUE);
    g_setenv("INGOT_TOKEN_HOST", "c.example", TRUE);
    g_setenv("INGOT_TIMEOUT", "7", TRUE);
    g_setenv("REGISTRY_AUTH_FILE", "/auth.json", TRUE);
    g_setenv("DOCKER_CONFIG", "/docker", TRUE);
    g_setenv("HTTP_PROXY", "http://proxy.example", TRUE);
    g_setenv("no_proxy", "d.example", TRUE);
    g_setenv("INGOT_POLICY", "/policy.json", TRUE);
    g_autoptr(IngotRemoteOptions) read = ingot_remote_options_from_environment();
    g_autoptr(IngotRemoteOptions) options = ingot_remote_options_copy(read);
    unset_all();
    assert_string_equal(options->ca, "/ca.pem");
    assert_string_equal(options->plain_http, "lab.example");
    assert_string_equal(options->tokens, "a.example=b");
    assert_string_equal(options->token_host, "c.example");
    assert_string_equal(options->timeout, "7");
    assert_string_equal(options->logins[0], "/auth.json");
    assert_null(options->logins[1]);
    assert_string_equal(options->docker_logins, "/docker/config.json");
    assert_string_equal(options->http_proxy, "http://proxy.example");
    assert_string_equal(options->no_proxy, "d.example");
    assert_true(options->proxy_variables);
    assert_string_equal(options->policy, "/policy.json");
}

static char *policy_now(void)
{
    g_autoptr(IngotRemoteOptions) options = ingot_remote_options_from_environment();
    return g_strdup(options->policy);
}

/* One that is there, but can't be read, is not passed over. */
static void the_policy_of_the_user_goes_before_the_machines(void **state)
{
    (void)state;
    unset_all();
    g_autofree char *folder = g_build_filename(g_get_user_config_dir(), "containers", NULL);
    g_autofree char *own = g_build_filename(folder, "policy.json", NULL), *before = policy_now();
    assert_string_not_equal(before == NULL ? "" : before, own);
    assert_int_equal(g_mkdir_with_parents(folder, 0700), 0);
    assert_int_equal(symlink("nowhere", own), 0);
    g_autofree char *found = policy_now();
    assert_string_equal(found, own);
    g_setenv("INGOT_POLICY", "/policy.json", TRUE);
    environment_use_policy(NULL);
    g_autofree char *set = policy_now();
    assert_string_equal(set, "/policy.json");
    environment_use_policy("/option.json");
    g_autofree char *chosen = policy_now();
    assert_string_equal(chosen, "/option.json");
    unlink(own);
    rmdir(folder);
    unset_all();
}

/* A CGI program's $HTTP_PROXY is a header of its client's; $http_proxy goes before it, even where it is empty. */
static void a_proxy_by_its_upper_name(void **state)
{
    (void)state;
    unset_all();
    g_setenv("HTTP_PROXY", "http://proxy.example", TRUE);
    g_setenv("REQUEST_METHOD", "GET", TRUE);
    g_autoptr(IngotRemoteOptions) cgi = ingot_remote_options_from_environment();
    assert_null(cgi->http_proxy);
    g_unsetenv("REQUEST_METHOD");
    g_setenv("http_proxy", "", TRUE);
    g_autoptr(IngotRemoteOptions) lower = ingot_remote_options_from_environment();
    assert_null(lower->http_proxy);
    unset_all();
}

static void the_usual(void **state)
{
    (void)state;
    g_setenv("INGOT_PLAIN_HTTP", "lab.example", TRUE);
    g_autoptr(IngotRemoteOptions) usual = ingot_remote_options_copy(NULL);
    assert_null(usual->plain_http);
    assert_null(usual->logins);
    assert_string_equal(ingot_remote_scheme(NULL, "lab.example"), "https");
    unset_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_set), cmocka_unit_test(all_is_set),
                                       cmocka_unit_test(a_proxy_by_its_upper_name), cmocka_unit_test(the_usual),
                                       cmocka_unit_test(the_policy_of_the_user_goes_before_the_machines)};
    /* Nothing of the person who runs the tests is touched; GLib looks once alone. */
    g_autofree char *config = g_dir_make_tmp("ingot-environment.XXXXXX", NULL);
    g_setenv("XDG_CONFIG_HOME", config, TRUE);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(config);
    return failed;
}
