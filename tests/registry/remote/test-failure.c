/* Errors of a registry name what its user named, then the cause: no URL of the client's own, no sentence of libcurl's,
 * no byte that a terminal would take for an order. */
#include "remote/environment.h"
#include "remote/relay.h"
#include "serve.h"

#define DIGEST "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static char *answer(const char *request, gsize sent, gpointer user)
{
    (void)request, (void)sent;
    const char *const *parts = user;
    return serve_text(parts[0], "", parts[1]);
}

static char *answer_raw(const char *request, gsize sent, gpointer user)
{
    (void)request, (void)sent;
    return g_strdup(user);
}

/* What is said of a manifest, without the host. */
static char *manifest_error(ServeFunc function, gpointer user, const char *reference, IngotError code)
{
    IngotDescriptor out;
    g_autoptr(GError) error = NULL;
    Serve *serve = serve_new(function, user);
    g_autoptr(IngotRemote) remote = serve_remote(serve);
    g_autofree char *host = g_strconcat(serve->where + strlen("http://"), "/", NULL);
    g_autoptr(GBytes) bytes = ingot_remote_get_manifest(remote, "team/web", reference, &out, NULL, &error);
    serve_free(serve);
    assert_null(bytes);
    if (!g_error_matches(error, INGOT_ERROR, (gint)code) || !g_str_has_prefix(error->message, host)) {
        fail_msg("%s", error->message);
    }
    assert_null(strstr(error->message, "://"));
    return g_strdup(error->message + strlen(host));
}

static void a_status_is_a_cause(void **state)
{
    static const struct {
        const char *parts[2], *reference, *wanted;
        IngotError code;
    } cases[] = {
        {{"404 Not Found", ""}, "prod", "team/web:prod: not found (status 404)", INGOT_ERROR_NOT_FOUND},
        {{"404 Not Found", "{\"errors\":[{\"message\":\"gone\"}]}"},
         DIGEST,
         "team/web@" DIGEST ": not found (status 404: gone)",
         INGOT_ERROR_NOT_FOUND},
        {{"403 Forbidden", "{\"errors\":[{\"message\":\"\\u001b[2Jthe quota\\nis full\"}]}"},
         "prod",
         "team/web:prod: denied (status 403: the quota is full)",
         INGOT_ERROR_DENIED},
        {{"401 Unauthorized", ""},
         "prod",
         "team/web:prod: a login is needed (status 401) (`ingot login` logs in)",
         INGOT_ERROR_DENIED},
        {{"413 Too Large", ""}, "prod", "team/web:prod: too large (status 413)", INGOT_ERROR_FAILED},
        {{"500 Oh", "<html>"}, "prod", "team/web:prod: the registry failed (status 500)", INGOT_ERROR_FAILED},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = manifest_error(answer, (gpointer)cases[i].parts, cases[i].reference, cases[i].code);
        assert_string_equal(text, cases[i].wanted);
    }
}

static void a_broken_connection_is_a_cause(void **state)
{
    static const char *const cases[][2] = {
        {"", "team/web:prod: the connection broke off"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "team/web:prod: the connection broke off"},
        {"SSH-2.0-OpenSSH\r\n", "team/web:prod: what answers does not speak HTTP"},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = manifest_error(answer_raw, (gpointer)cases[i][0], "prod", INGOT_ERROR_NETWORK);
        assert_string_equal(text, cases[i][1]);
    }
}

static void what_is_not_reached_is_a_cause(void **state)
{
    static const char *const cases[][2] = {
        {"127.0.0.1:1", "127.0.0.1:1/team/web: its tags: no connection: Connection refused"},
        {"no-such-host.invalid", "no-such-host.invalid/team/web: its tags: no host of this name is known"},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(IngotRemote) remote = environment_remote(cases[i][0], NULL);
        ingot_remote_limit(remote, 5, 5, 0);
        assert_null(ingot_remote_list_tags(remote, "team/web", &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NETWORK));
        assert_string_equal(error->message, cases[i][1]);
    }
}

/* What a registry ends with that is asked by way of this proxy. */
static GError *ask_by_proxy(ServeFunc proxy, gpointer user, guint patience, IngotRemoteEnd *ended)
{
    GError *error = NULL;
    Serve *serve = serve_new(proxy, user);
    g_setenv("https_proxy", serve->where, TRUE);
    g_autoptr(IngotRemote) remote = environment_remote("registry.invalid", NULL);
    ingot_remote_limit(remote, 5, 5, patience);
    assert_null(ingot_remote_list_tags(remote, "team/web", &error));
    g_unsetenv("https_proxy");
    serve_free(serve);
    *ended = ingot_remote_ended(remote);
    return error;
}

/* The proxy's word is not the registry's, which was not reached. */
static void a_proxy_that_refuses_is_a_cause(void **state)
{
    static const char *const cases[][2] = {
        {"403 Forbidden",
         "registry.invalid/team/web: its tags: the proxy that $HTTPS_PROXY names refuses (status 403)"},
        {"502 Bad Gateway",
         "registry.invalid/team/web: its tags: the proxy that $HTTPS_PROXY names refuses (status 502)"},
        {"407 Proxy Authentication Required",
         "registry.invalid/team/web: its tags: the proxy that $HTTPS_PROXY names wants a login"},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        const char *parts[] = {cases[i][0], ""};
        IngotRemoteEnd ended;
        g_autoptr(GError) error = ask_by_proxy(answer, parts, 0, &ended);
        if (!g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NETWORK) ||
            !g_str_has_prefix(error->message, cases[i][1])) {
            fail_msg("%s", error->message);
        }
        assert_int_equal(ended, INGOT_REMOTE_UNREACHED);
    }
}

static char *refuse_once(const char *request, gsize sent, gpointer user)
{
    gint *asked = user;
    (void)request, (void)sent;
    return serve_text(g_atomic_int_add(asked, 1) == 0 ? "502 Bad Gateway" : "403 Forbidden", "", "");
}

/* It may reach the registry in a while. One that forbids it is not asked again. */
static void a_proxy_that_fails_is_asked_again(void **state)
{
    gint asked = 0;
    IngotRemoteEnd ended;
    (void)state;
    g_autoptr(GError) error = ask_by_proxy(refuse_once, &asked, 10, &ended);
    assert_int_equal(asked, 2);
    assert_non_null(strstr(error->message, "status 403"));
}

static void a_time_out_is_a_duration(void **state)
{
    static const char *const odd[] = {"thirty", "1.5", "-1", "0", "5 m", "99999999d"};
    static const char *const fine[] = {"", "2", "90s", "5m"};
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(odd); i++) {
        g_autoptr(GError) error = NULL;
        g_setenv("INGOT_TIMEOUT", odd[i], TRUE);
        assert_null(environment_remote("registry.invalid", &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        assert_true(g_str_has_prefix(error->message, "$INGOT_TIMEOUT: "));
    }
    for (guint i = 0; i < G_N_ELEMENTS(fine); i++) {
        g_setenv("INGOT_TIMEOUT", fine[i], TRUE);
        g_autoptr(IngotRemote) remote = environment_remote("registry.invalid", NULL);
        assert_non_null(remote);
    }
    g_unsetenv("INGOT_TIMEOUT");
}

/* More than is read, by a registry that does not say so before. */
static void too_much_is_a_cause(void **state)
{
    g_autofree char *body = g_strnfill(INGOT_MANIFEST_MAX + 1, ' ');
    const char *parts[] = {"200 OK", body};
    (void)state;
    g_autofree char *text = manifest_error(answer, (gpointer)parts, "prod", INGOT_ERROR_LIMIT);
    assert_string_equal(text, "team/web:prod: the answer is too large: 4.2 MB at most are read");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_status_is_a_cause),
        cmocka_unit_test(a_broken_connection_is_a_cause),
        cmocka_unit_test(what_is_not_reached_is_a_cause),
        cmocka_unit_test(a_proxy_that_refuses_is_a_cause),
        cmocka_unit_test(a_proxy_that_fails_is_asked_again),
        cmocka_unit_test(a_time_out_is_a_duration),
        cmocka_unit_test(too_much_is_a_cause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
