/* Logins: what is shown stays with the registry, is renewed in the middle of a transfer, and is named when it is
 * refused.
 */
#include "serve.h"

#include <sys/stat.h>

#include "base/file.h"

static IngotWorkdir *workdir;

static int set_up(void **state)
{
    (void)state;
    workdir = ingot_workdir_new(NULL);
    g_autofree char *none = ingot_workdir_file(workdir, "none");
    g_setenv("REGISTRY_AUTH_FILE", none, TRUE);
    g_setenv("DOCKER_CONFIG", none, TRUE);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    g_unsetenv("INGOT_TOKEN");
    g_clear_pointer(&workdir, ingot_workdir_free);
    return 0;
}

static void write_file(const char *name, int mode, const char *text)
{
    g_autofree char *path = ingot_workdir_file(workdir, name);
    assert_true(ingot_file_replace(path, text, strlen(text), mode, NULL));
}

/* The file of logins has this entry for the registry. */
static void keep_login(const Serve *serve, const char *entry)
{
    g_autofree char *path = ingot_workdir_file(workdir, "auth.json");
    g_autofree char *text = g_strdup_printf("{\"auths\":{\"%s\":%s}}", serve->where + strlen("http://"), entry);
    write_file("auth.json", 0600, text);
    g_setenv("REGISTRY_AUTH_FILE", path, TRUE);
}

/* --- redirections --- */

typedef struct {
    const char *location; /* where a request with a body is led; NULL: it is taken */
    const char *realm;    /* of tokens; NULL: nobody is asked for one */
    gint asked;           /* atomic */
    gsize sent;           /* bytes of the last body that was taken */
    gboolean shown;       /* with a login */
} Place;

static char *lead(const char *request, gsize sent, gpointer user)
{
    Place *place = user;
    g_atomic_int_inc(&place->asked);
    place->shown = place->shown || strstr(request, "Authorization:") != NULL;
    if (place->realm != NULL && !g_str_has_prefix(request, "POST /token")) {
        g_autofree char *challenge = g_strdup_printf("WWW-Authenticate: Bearer realm=\"%s\"\r\n", place->realm);
        return serve_text("401 Unauthorized", challenge, "");
    }
    if (place->location == NULL || strstr(request, "/taken") != NULL) {
        place->sent = sent;
        return serve_text("201 Created", "", "");
    }
    g_autofree char *location = g_strdup_printf("Location: %s\r\n", place->location);
    return serve_text("307 Temporary Redirect", location, "");
}

static gboolean put(IngotRemote *remote, GError **error)
{
    return ingot_remote_put_manifest(remote, "team/web", "1.0.0", "{}", 2, INGOT_TYPE_MANIFEST, error);
}

static void a_body_is_sent_where_a_location_may_lead(void **state)
{
    Place other = {0};
    (void)state;
    Serve *second = serve_new(lead, &other);
    g_autofree char *there = g_strconcat(second->where, "/taken", NULL);
    const char *const locations[] = {"/taken", there};
    for (gsize i = 0; i < G_N_ELEMENTS(locations); i++) {
        Place place = {.location = locations[i]};
        g_autoptr(GError) error = NULL;
        Serve *serve = serve_new(lead, &place);
        g_autoptr(IngotRemote) remote = serve_remote(serve);
        if (!put(remote, &error)) {
            fail_msg("%s: %s", locations[i], error->message);
        }
        serve_free(serve);
        assert_int_equal(i == 0 ? place.sent : other.sent, 2);
        assert_int_equal(place.asked, i == 0 ? 2 : 1);
    }
    serve_free(second);
}

static void a_body_is_sent_nowhere_else(void **state)
{
    static const char *const cases[][2] = {
        {"http://registry.invalid/taken", "nothing is sent to another host by plain HTTP"},
        {"ftp://127.0.0.1/taken", "that is no http:// or https:// address"},
        {"/again", "without an end"},
    };
    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        Place place = {.location = cases[i][0]};
        g_autoptr(GError) error = NULL;
        Serve *serve = serve_new(lead, &place);
        g_autoptr(IngotRemote) remote = serve_remote(serve);
        assert_false(put(remote, &error));
        if (strstr(error->message, cases[i][1]) == NULL) {
            fail_msg("%s: %s", cases[i][0], error->message);
        }
        serve_free(serve);
    }
}

static void an_identity_token_is_sent_to_nobody_else(void **state)
{
    Place other = {0}, place = {0};
    g_autoptr(GError) error = NULL;
    (void)state;
    Serve *second = serve_new(lead, &other), *serve = serve_new(lead, &place);
    g_autofree char *there = g_strconcat(second->where, "/token", NULL);
    g_autofree char *realm = g_strconcat(serve->where, "/token", NULL);
    place.location = there;
    place.realm = realm;
    keep_login(serve, "{\"identitytoken\":\"refresh\"}");
    g_autoptr(IngotRemote) remote = serve_remote(serve);
    assert_false(put(remote, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_DENIED));
    assert_non_null(strstr(error->message, "identity token"));
    serve_free(serve);
    serve_free(second);
    assert_int_equal(other.asked, 0);
}

/* --- renewal --- */

/* Gives access tokens that end at once to logins whose password is the one of the hour. */
typedef struct {
    char *realm;
    const char *password; /* base64 of u:PASSWORD */
    const char *failure;  /* a status of the place of tokens; NULL: it works */
    gint tokens, refused; /* atomic: that it gave, and did not give */
} Hour;

static char *by_the_hour(const char *request, gsize sent, gpointer user)
{
    Hour *hour = user;
    (void)sent;
    if (g_str_has_prefix(request, "GET /token")) {
        gboolean good = strstr(request, hour->password) != NULL;
        if (hour->failure != NULL || !good) {
            g_atomic_int_inc(&hour->refused);
            return serve_text(hour->failure != NULL ? hour->failure : "401 Unauthorized", "", "");
        }
        g_autofree char *body =
            g_strdup_printf("{\"token\":\"t%d\",\"expires_in\":1}", g_atomic_int_add(&hour->tokens, 1));
        return serve_text("200 OK", "", body);
    }
    if (strstr(request, "Authorization: Bearer t") != NULL) {
        return serve_text("201 Created", "", "");
    }
    g_autofree char *challenge = g_strdup_printf("WWW-Authenticate: Bearer realm=\"%s\"\r\n", hour->realm);
    return serve_text("401 Unauthorized", challenge, "");
}

/* A helper whose password is what the file says. */
static void keep_helper(const Serve *serve)
{
    g_autofree char *folder = ingot_workdir_file(workdir, "bin"), *path = ingot_workdir_file(workdir, "auth.json");
    g_autofree char *file = ingot_workdir_file(workdir, "password");
    g_autofree char *script =
        g_strdup_printf("#!/bin/sh\nprintf '{\"Username\":\"u\",\"Secret\":\"%%s\"}' \"$(cat %s)\"\n", file);
    g_autofree char *all = g_strdup_printf("%s:/usr/bin:/bin", folder);
    g_autofree char *text = g_strdup_printf("{\"credHelpers\":{\"%s\":\"hour\"}}", serve->where + strlen("http://"));
    assert_true(ingot_file_make_folder(folder, NULL));
    write_file("bin/docker-credential-hour", 0755, script);
    write_file("auth.json", 0600, text);
    g_setenv("PATH", all, TRUE);
    g_setenv("REGISTRY_AUTH_FILE", path, TRUE);
}

static void a_login_of_a_helper_may_end(void **state)
{
    Hour hour = {.password = "dTpvbmU="}; /* u:one */
    g_autoptr(GError) error = NULL;
    (void)state;
    Serve *serve = serve_new(by_the_hour, &hour);
    hour.realm = g_strconcat(serve->where, "/token", NULL);
    keep_helper(serve);
    write_file("password", 0600, "one");
    g_autoptr(IngotRemote) remote = serve_remote(serve);
    assert_true(put(remote, NULL));
    assert_true(put(remote, NULL));
    assert_int_equal(hour.tokens, 2);
    hour.password = "dTp0d28="; /* u:two */
    write_file("password", 0600, "two");
    if (!put(remote, &error)) {
        fail_msg("%s", error->message);
    }
    assert_int_equal(hour.tokens, 3);
    assert_int_equal(hour.refused, 1);
    hour.password = "none";
    assert_false(put(remote, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_DENIED));
    assert_non_null(strstr(error->message, "the login as 'u' of docker-credential-hour is refused"));
    serve_free(serve);
    g_free(hour.realm);
}

/* What is here is still good for a while. */
static void a_place_of_tokens_may_fail_for_a_while(void **state)
{
    Hour hour = {.password = "YTph"};
    g_autoptr(GError) error = NULL;
    (void)state;
    Serve *serve = serve_new(by_the_hour, &hour);
    hour.realm = g_strconcat(serve->where, "/token", NULL);
    keep_login(serve, "{\"auth\":\"YTph\"}");
    g_autoptr(IngotRemote) remote = serve_remote(serve);
    assert_true(put(remote, NULL));
    hour.failure = "500 Internal Server Error";
    for (guint i = 0; i < 3; i++) {
        if (!put(remote, &error)) {
            fail_msg("%s", error->message);
        }
    }
    assert_int_equal(hour.tokens, 1);
    assert_int_equal(hour.refused, 1);
    serve_free(serve);
    g_free(hour.realm);
}

/* What needs no login is had without, whatever the files of logins are like. */
static void a_broken_file_is_no_refusal(void **state)
{
    Hour hour = {.password = ""};
    g_autoptr(GError) error = NULL;
    (void)state;
    Serve *serve = serve_new(by_the_hour, &hour);
    hour.realm = g_strconcat(serve->where, "/token", NULL);
    keep_login(serve, "{\"auth\":\"YTph\"");
    g_autoptr(IngotRemote) remote = serve_remote(serve);
    if (!put(remote, &error)) {
        fail_msg("%s", error->message);
    }
    hour.failure = "401 Unauthorized";
    g_autoptr(IngotRemote) another = serve_remote(serve);
    assert_false(put(another, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_DENIED));
    assert_non_null(strstr(error->message, "auth.json"));
    serve_free(serve);
    g_free(hour.realm);
}

/* --- refusals --- */

static char *refuse(const char *request, gsize sent, gpointer user)
{
    (void)request, (void)sent;
    return serve_text("401 Unauthorized", user, "");
}

/* Without the host. */
static char *refusal(Serve *serve)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(IngotRemote) remote = serve_remote(serve);
    g_autofree char *host = g_strconcat(serve->where + strlen("http://"), ": ", NULL);
    assert_false(put(remote, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_DENIED));
    assert_true(g_str_has_prefix(error->message, host));
    return g_strdup(error->message + strlen(host));
}

static void what_is_refused_is_named(void **state)
{
    (void)state;
    g_autofree char *path = ingot_workdir_file(workdir, "auth.json");
    Serve *basic = serve_new(refuse, "WWW-Authenticate: Basic realm=\"here\"\r\n");
    keep_login(basic, "{\"auth\":\"YWxpY2U6YQ==\"}");
    g_autofree char *login = refusal(basic);
    g_autofree char *expected = g_strdup_printf("the login as 'alice' of %s is refused", path);
    assert_string_equal(login, expected);
    serve_free(basic);

    Serve *ours = serve_new(refuse, "WWW-Authenticate: Bearer realm=\"http://127.0.0.1:1/t\",service=\"ingot\"\r\n");
    g_setenv("INGOT_TOKEN", "ingot_x", TRUE);
    g_autofree char *token = refusal(ours);
    assert_true(g_str_has_prefix(token, "the token in $INGOT_TOKEN is refused"));
    serve_free(ours);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_body_is_sent_where_a_location_may_lead),
        TEST(a_body_is_sent_nowhere_else),
        TEST(an_identity_token_is_sent_to_nobody_else),
        TEST(a_login_of_a_helper_may_end),
        TEST(a_place_of_tokens_may_fail_for_a_while),
        TEST(a_broken_file_is_no_refusal),
        TEST(what_is_refused_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
