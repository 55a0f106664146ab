/* Where a registry's answers lead: to the same registry however it is written, to others without a login, and nowhere
 * by less than the registry itself. */
#include "serve.h"

#include "base/file.h"

#include "remote/http.h"
#include "remote/location.h"

#define ASKED "https://registry.example/v2/team/web/blobs/uploads/?x=1"

typedef struct {
    const char *text, *wanted; /* NULL: refused */
} Row;

static const IngotRemoteOptions usual = {0};

static void check(const char *base, const char *asked, const Row *rows, gsize count)
{
    for (gsize i = 0; i < count; i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *found = location_resolve(&usual, base, asked, rows[i].text, &error);
        if (g_strcmp0(found, rows[i].wanted) != 0) {
            fail_msg("%s: %s (%s)", rows[i].text, found, error == NULL ? "" : error->message);
        }
        assert_int_equal(found == NULL, error != NULL);
    }
}

static void by_https(void **state)
{
    static const Row rows[] = {
        {"/v2/a/blobs/uploads/1?_state=a%2Fb%3D", "https://registry.example/v2/a/blobs/uploads/1?_state=a%2Fb%3D"},
        {"uuid?x", "https://registry.example/v2/team/web/blobs/uploads/uuid?x"},
        {"../up/1", "https://registry.example/v2/team/web/blobs/up/1"},
        {"?digest=1", "https://registry.example/v2/team/web/blobs/uploads/?digest=1"},
        {"//registry.example/up", "https://registry.example/up"},
        {"//other.example/up", "https://other.example/up"},
        {"https://REGISTRY.example:443/up#part", "https://registry.example/up"},
        {"https://registry.example:444/up", "https://registry.example:444/up"},
        {"https://registry.example.evil.example/up", "https://registry.example.evil.example/up"},
        {"https://storage.example/b/o?X-Amz-Signature=a%2Bb", "https://storage.example/b/o?X-Amz-Signature=a%2Bb"},
        {"http://registry.example/up", NULL},
        {"http://other.example/up", NULL},
        {"http://127.0.0.1/up", NULL},
        {"ftp://registry.example/up", NULL},
        {"file:///etc/passwd", NULL},
        {"https://alice:word@registry.example/up", NULL},
        {"https://alice@other.example/up", NULL},
        {"https:///", NULL},
        {"https://a b/", NULL},
    };
    (void)state;
    check("https://registry.example", ASKED, rows, G_N_ELEMENTS(rows));
}

static void by_plain_http(void **state)
{
    static const Row rows[] = {
        {"/up", "http://127.0.0.1:5000/up"},
        {"//127.0.0.1:5000/up", "http://127.0.0.1:5000/up"},
        {"http://127.0.0.1:5001/up", "http://127.0.0.1:5001/up"},
        {"http://[::1]:5001/up", "http://[::1]:5001/up"},
        {"https://other.example/up", "https://other.example/up"},
        {"http://other.example/up", NULL},
        {"//other.example/up", NULL},
    };
    (void)state;
    check("http://127.0.0.1:5000", "http://127.0.0.1:5000/v2/", rows, G_N_ELEMENTS(rows));
}

static void an_error_is_fit_to_print(void **state)
{
    g_autoptr(GError) error = NULL;
    (void)state;
    assert_null(
        location_resolve(&usual, "https://registry.example", ASKED, "http://a.example/\x1b]0;x\x07?secret=1", &error));
    assert_null(strchr(error->message, '\x1b'));
    g_clear_error(&error);
    assert_null(location_resolve(&usual, "https://registry.example", ASKED, "http://a.example/?secret=1", &error));
    assert_null(strstr(error->message, "secret"));
    assert_non_null(strstr(error->message, "X-Forwarded-Proto"));
}

/* --- an upload --- */

typedef struct {
    const char *location;
    GString *seen; /* of each request that is a PUT: its path, and whether it showed a login */
} Registry;

static char *answer(const char *request, gsize sent, gpointer user)
{
    Registry *registry = user;
    gboolean logs_in = strstr(request, "Authorization: ") != NULL;
    (void)sent;
    if (g_str_has_prefix(request, "PUT ")) {
        const char *path = request + strlen("PUT ");
        g_string_append_printf(registry->seen, "%.*s %s", (int)strcspn(path, "? "), path, logs_in ? "login" : "none");
        return serve_text("201 Created", "", "");
    }
    if (!logs_in) {
        return serve_text("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", "");
    }
    g_autofree char *headers = g_strdup_printf("Location: %s\r\n", registry->location);
    return serve_text("202 Accepted", headers, "");
}

/* What was seen of the PUT, by the registry itself and by another server; the push's error is NULL where it went. */
static void push(const char *form, char **own, char **others, GError **error)
{
    Registry registry = {.seen = g_string_new("")}, other = {.seen = g_string_new("")};
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(NULL);
    g_autofree char *path = ingot_workdir_file(workdir, "blob");
    IngotDescriptor blob = {.size = 4};
    g_autoptr(IngotCredentials) login = ingot_credentials_new("alice", "the word");
    assert_true(ingot_file_replace(path, "blob", 4, 0600, NULL));
    ingot_digest_of("blob", 4, &blob.digest);
    Serve *serve = serve_new(answer, &registry), *second = serve_new(answer, &other);
    g_auto(GStrv) parts = g_strsplit(form, "@", -1);
    g_autofree char *location = g_strjoinv(strstr(second->where, "//"), parts);
    registry.location = location;
    g_autoptr(IngotRemote) remote = serve_remote(serve);
    ingot_remote_use(remote, login);
    ingot_remote_put_blob(remote, "team/web", path, &blob, NULL, error);
    serve_free(serve);
    serve_free(second);
    *own = g_string_free(registry.seen, FALSE);
    *others = g_string_free(other.seen, FALSE);
}

static void an_upload_goes_where_it_is_led(void **state)
{
    static const struct {
        const char *form; /* @: the other server, as "//HOST:PORT" */
        const char *own, *others;
    } rows[] = {
        {"/v2/team/web/blobs/uploads/9?a=b", "/v2/team/web/blobs/uploads/9 login", ""},
        {"1", "/v2/team/web/blobs/uploads/1 login", ""},
        {"http:@/up/1", "", "/up/1 none"},
        {"@/up/1", "", "/up/1 none"},
        {"http://other.example/up/1", "", ""},
    };
    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *own = NULL, *others = NULL;
        g_autoptr(GError) error = NULL;
        push(rows[i].form, &own, &others, &error);
        assert_string_equal(own, rows[i].own);
        assert_string_equal(others, rows[i].others);
        assert_int_equal(error != NULL, rows[i].own[0] == '\0' && rows[i].others[0] == '\0');
    }
}

static void docker_hub(void **state)
{
    static const char *const rows[][3] = {
        {"docker.io", "web", "https://registry-1.docker.io/v2/library/web/manifests/1"},
        {"docker.io", "team/web", "https://registry-1.docker.io/v2/team/web/manifests/1"},
        {"index.docker.io", "web", "https://registry-1.docker.io/v2/library/web/manifests/1"},
        {"https://registry-1.docker.io", "web", "https://registry-1.docker.io/v2/library/web/manifests/1"},
        {"registry.docker.io", "web", "https://registry.docker.io/v2/web/manifests/1"},
        {"http://docker.io", "web", "http://docker.io/v2/library/web/manifests/1"},
    };
    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(IngotRemote) remote = environment_remote(rows[i][0], NULL);
        g_autofree char *url = http_api_url(remote, rows[i][1], "manifests", "1");
        assert_string_equal(url, rows[i][2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(by_https), cmocka_unit_test(by_plain_http),
                                       cmocka_unit_test(an_error_is_fit_to_print),
                                       cmocka_unit_test(an_upload_goes_where_it_is_led), cmocka_unit_test(docker_hub)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
