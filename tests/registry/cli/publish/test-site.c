/* Who asks S3, and where: what counts of the environment and of AWS's files; and which places are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>
#include <glib/gstdio.h>
#include <ingot/error.h>
#include <string.h>

#include "base/file.h"
#include "cli/publish/awsaccess.h"
#include "cli/publish/site.h"

static char *folder;

static void write_file(const char *variable, const char *text)
{
    g_autofree char *path = g_build_filename(folder, variable, NULL);
    g_unlink(path);
    if (text != NULL) {
        assert_true(g_file_set_contents(path, text, -1, NULL));
    }
    g_setenv(variable, path, TRUE);
}

/* "A=1 B=2": these alone are set. */
static void set_variables(const char *text)
{
    static const char *const all[] = {"AWS_ACCESS_KEY_ID",   "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
                                      "AWS_REGION",          "AWS_DEFAULT_REGION",    "AWS_PROFILE",
                                      "AWS_DEFAULT_PROFILE", "AWS_ENDPOINT_URL",      "AWS_ENDPOINT_URL_S3"};
    for (guint i = 0; i < G_N_ELEMENTS(all); i++) {
        g_unsetenv(all[i]);
    }
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    for (guint i = 0; words[i] != NULL && *words[i] != '\0'; i++) {
        g_auto(GStrv) pair = g_strsplit(words[i], "=", 2);
        g_setenv(pair[0], pair[1], TRUE);
    }
}

#define CREDENTIALS                                                                                                    \
    "[default]\naws_access_key_id = FK\naws_secret_access_key = FS\n"                                                  \
    "[work]\naws_access_key_id=WK\naws_secret_access_key=W/S=\naws_session_token=WT\n"                                 \
    "[half]\naws_access_key_id=HK\n"
#define CONFIG                                                                                                         \
    "[default]\nregion = eu-west-1\ns3 =\n  max_concurrent_requests = 20\n"                                            \
    "[profile work]\nregion = ap-south-1\nendpoint_url = https://s3.work\n"                                            \
    "[profile config]\naws_access_key_id=CK\naws_secret_access_key=CS\n"

typedef struct {
    const char *variables, *credentials, *config;
    const char *access; /* KEY SECRET TOKEN REGION ENDPOINT, "-" for none; or the words of the error */
} Case;

static void test_found(void **state)
{
    (void)state;
    static const Case cases[] = {
        {"AWS_ACCESS_KEY_ID=K AWS_SECRET_ACCESS_KEY=S", NULL, NULL, "K S - us-east-1 -"},
        {"AWS_ACCESS_KEY_ID=K AWS_SECRET_ACCESS_KEY=S AWS_SESSION_TOKEN=T AWS_DEFAULT_REGION=eu-north-1", NULL, NULL,
         "K S T eu-north-1 -"},
        {"AWS_ACCESS_KEY_ID=K AWS_SECRET_ACCESS_KEY=S AWS_REGION=a AWS_DEFAULT_REGION=b", NULL, NULL, "K S - a -"},
        {"AWS_ACCESS_KEY_ID=K AWS_SECRET_ACCESS_KEY=S", CREDENTIALS, CONFIG, "K S - eu-west-1 -"},
        {"AWS_ACCESS_KEY_ID=K AWS_SECRET_ACCESS_KEY=S AWS_PROFILE=work", CREDENTIALS, CONFIG,
         "K S - ap-south-1 https://s3.work"},
        {"", CREDENTIALS, CONFIG, "FK FS - eu-west-1 -"},
        {"AWS_SESSION_TOKEN=T", CREDENTIALS, NULL, "FK FS - us-east-1 -"},
        {"AWS_PROFILE=work AWS_ENDPOINT_URL=http://a", CREDENTIALS, CONFIG, "WK W/S= WT ap-south-1 http://a"},
        {"AWS_PROFILE=work AWS_ENDPOINT_URL=http://a AWS_ENDPOINT_URL_S3=http://b", CREDENTIALS, CONFIG,
         "WK W/S= WT ap-south-1 http://b"},
        {"AWS_DEFAULT_PROFILE=config", CREDENTIALS, CONFIG, "CK CS - us-east-1 -"},
        {"AWS_ACCESS_KEY_ID=K", CREDENTIALS, CONFIG, "$AWS_SECRET_ACCESS_KEY is not set"},
        {"AWS_SECRET_ACCESS_KEY=S", CREDENTIALS, CONFIG, "$AWS_ACCESS_KEY_ID is not set"},
        {"AWS_ACCESS_KEY_ID= AWS_SECRET_ACCESS_KEY=S", NULL, NULL, "$AWS_ACCESS_KEY_ID is not set"},
        {"AWS_PROFILE=half", CREDENTIALS, CONFIG, "profile 'half'"},
        {"AWS_PROFILE=none", CREDENTIALS, CONFIG, "profile 'none'"},
        {"", NULL, NULL, "S3 needs a login"},
        {"", "key without a group = 1\n", NULL, "not a file of AWS's profiles"},
        {"AWS_ACCESS_KEY_ID=K AWS_SECRET_ACCESS_KEY=S", NULL, "[", "not a file of AWS's profiles"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Case *one = &cases[i];
        g_auto(S3Access) access = {0};
        g_autoptr(GError) error = NULL;
        set_variables(one->variables);
        write_file("AWS_SHARED_CREDENTIALS_FILE", one->credentials);
        write_file("AWS_CONFIG_FILE", one->config);
        gboolean found = aws_access_find(&access, &error);
        g_autofree char *is =
            g_strjoin(" ", access.key == NULL ? "-" : access.key, access.secret == NULL ? "-" : access.secret,
                      access.token == NULL ? "-" : access.token, access.region == NULL ? "-" : access.region,
                      access.endpoint == NULL ? "-" : access.endpoint, NULL);
        if (!found && strstr(error->message, one->access) == NULL) {
            fail_msg("%u: %s", i, error->message);
        }
        if (found) {
            assert_string_equal(is, one->access);
        }
    }
}

/* An endpoint that is given goes before all. */
static void test_endpoint(void **state)
{
    (void)state;
    g_auto(S3Access) access = {.endpoint = g_strdup("http://given")};
    set_variables("AWS_ACCESS_KEY_ID=K AWS_SECRET_ACCESS_KEY=S AWS_ENDPOINT_URL_S3=http://b");
    write_file("AWS_CONFIG_FILE", NULL);
    assert_true(aws_access_find(&access, NULL));
    assert_string_equal(access.endpoint, "http://given");
}

typedef struct {
    const char *place, *endpoint;
    const char *url; /* NULL: it is refused */
} Place;

static void test_places(void **state)
{
    (void)state;
    static const Place places[] = {
        {"s3://boxes", NULL, "https://boxes.s3.eu-north-1.amazonaws.com"},
        {"s3://boxes/", NULL, "https://boxes.s3.eu-north-1.amazonaws.com"},
        {"s3://boxes/a/b c/", NULL, "https://boxes.s3.eu-north-1.amazonaws.com/a/b%20c"},
        {"s3://my.boxes/a", NULL, "https://s3.eu-north-1.amazonaws.com/my.boxes/a"},
        {"s3://Old_Boxes/a", NULL, "https://s3.eu-north-1.amazonaws.com/Old_Boxes/a"},
        {"s3://boxes/a", "https://s3.example:9000/", "https://s3.example:9000/boxes/a"},
        {"s3://boxes/a", "http://127.0.0.1:9/below", "http://127.0.0.1:9/below/boxes/a"},
        {"s3://boxes/\xc3\xa4+&?#%2F", NULL, "https://boxes.s3.eu-north-1.amazonaws.com/%C3%A4%2B%26%3F%23%252F"},
        {"s3://", NULL, NULL},
        {"s3:///a", NULL, NULL},
        {"s3://a b/c", NULL, NULL},
        {"s3://evil.example%2F/c", NULL, NULL},
        {"s3://user@evil/c", NULL, NULL},
        {"s3://..", NULL, NULL},
        {"s3://boxes/a//b", NULL, NULL},
        {"s3://boxes/../b", NULL, NULL},
        {"s3://boxes/./b", NULL, NULL},
        {"s3://boxes/\xff", NULL, NULL},
        {"s3://boxes", "s3.example", NULL},
        {"s3://boxes", "ftp://s3.example", NULL},
        {"s3://boxes", "https://name:word@s3.example", NULL},
        {"s3://boxes", "https://s3.example/?a", NULL},
        {"gs://boxes", NULL, NULL},
        {"https://boxes.example", NULL, NULL},
    };
    for (guint i = 0; i < G_N_ELEMENTS(places); i++) {
        const Place *one = &places[i];
        const IngotRemoteOptions remote = {0};
        const S3Access access = {.key = (char *)"K",
                                 .secret = (char *)"S",
                                 .region = (char *)"eu-north-1",
                                 .endpoint = (char *)one->endpoint};
        const SiteOptions options = {.place = one->place, .s3 = &access, .remote = &remote};
        g_autoptr(GError) error = NULL;
        g_autoptr(Site) site = site_open(&options, &error);
        g_autofree char *url = site == NULL ? NULL : site_url(site);
        if (g_strcmp0(url, one->url) != 0) {
            fail_msg("%s: %s", one->place, url == NULL ? error->message : url);
        }
        assert_true(url != NULL || g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        assert_true(error == NULL || strstr(error->message, "word") == NULL);
    }
}

/* --- a folder --- */

static GBytes *add_word(GBytes *before, gpointer user, GError **error)
{
    (void)error;
    gsize size = 0;
    const char *data = before == NULL ? "" : g_bytes_get_data(before, &size);
    char *text = g_strdup_printf("%.*s%s\n", (int)size, data, (const char *)user);
    return g_bytes_new_take(text, strlen(text));
}

static gpointer change_often(gpointer user)
{
    const SiteOptions options = {.place = user};
    g_autoptr(Site) site = site_open(&options, NULL);
    for (guint i = 0; i < 25; i++) {
        GError *error = NULL;
        if (!site_change(site, "a/list", "text/plain", 1 << 20, add_word, (gpointer) "word", &error)) {
            return error;
        }
    }
    return NULL;
}

/* Each change is there in the end, whoever was ahead. */
static void test_changes(void **state)
{
    (void)state;
    g_autofree char *place = g_build_filename(folder, "site", NULL), *path = g_build_filename(place, "a/list", NULL);
    GThread *threads[4];
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++) {
        threads[i] = g_thread_new("publisher", change_often, place);
    }
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++) {
        g_autoptr(GError) error = g_thread_join(threads[i]);
        if (error != NULL) {
            fail_msg("%s", error->message);
        }
    }
    g_autofree char *text = NULL;
    gsize size;
    assert_true(g_file_get_contents(path, &text, &size, NULL));
    assert_int_equal(size, 25 * G_N_ELEMENTS(threads) * strlen("word\n"));
}

/* What is too large to be read again is not written. */
static void test_limit(void **state)
{
    (void)state;
    g_autofree char *place = g_build_filename(folder, "small", NULL);
    const SiteOptions options = {.place = place};
    g_autoptr(Site) site = site_open(&options, NULL);
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GError) error = NULL;
    assert_true(site_change(site, "list", "text/plain", 10, add_word, (gpointer) "word", NULL));
    assert_true(site_change(site, "list", "text/plain", 10, add_word, (gpointer) "word", NULL));
    assert_false(site_change(site, "list", "text/plain", 10, add_word, (gpointer) "word", &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_LIMIT));
    assert_true(site_read(site, "list", 10, &bytes, NULL));
    assert_int_equal(g_bytes_get_size(bytes), 10);
}

static void test_in_the_way(void **state)
{
    (void)state;
    g_autofree char *place = g_build_filename(folder, "way", NULL), *inner = g_build_filename(place, "team", NULL),
                    *deep = g_build_filename(inner, "web", NULL);
    const SiteOptions options = {.place = place};
    g_autoptr(Site) site = site_open(&options, NULL);
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GError) error = NULL;
    assert_int_equal(g_mkdir_with_parents(deep, 0755), 0);
    assert_false(site_read(site, "team/web", 100, &bytes, &error));
    assert_non_null(strstr(error->message, "in the way"));
}

/* A file of another file system comes over, too, whether it may be moved or not; one that is shorter than it was is
 * none.
 */
static void test_other_file_system(void **state)
{
    (void)state;
    g_autofree char *elsewhere = g_strdup("/dev/shm/ingot-test-XXXXXX"), *place = g_build_filename(folder, "far", NULL);
    if (g_mkdtemp(elsewhere) == NULL) {
        skip();
    }
    const gsize size = (3 << 20) + 7;
    g_autofree char *path = g_build_filename(elsewhere, "box", NULL), *text = g_strnfill(size, 'x');
    const SiteOptions options = {.place = place};
    g_autoptr(Site) site = site_open(&options, NULL);
    for (guint gives = 0; gives < 2; gives++) {
        g_autoptr(GBytes) bytes = NULL;
        const SiteObject object = {.path = path, .size = size, .gives = gives == 1};
        assert_true(g_file_set_contents(path, text, (gssize)size, NULL));
        assert_true(site_put(site, gives == 1 ? "a/given" : "a/copied", &object, NULL));
        assert_true(site_read(site, gives == 1 ? "a/given" : "a/copied", size, &bytes, NULL));
        assert_int_equal(g_bytes_get_size(bytes), size);
        assert_memory_equal(g_bytes_get_data(bytes, NULL), text, size);
    }
    const SiteObject shorter = {.path = path, .size = size + 1};
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) none = NULL;
    assert_false(site_put(site, "a/shorter", &shorter, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
    assert_true(site_read(site, "a/shorter", size, &none, NULL));
    assert_null(none);
    assert_true(ingot_file_remove_tree(elsewhere, NULL));
}

static int set_up(void **state)
{
    (void)state;
    folder = g_dir_make_tmp("ingot-test-XXXXXX", NULL);
    return folder == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    gboolean gone = ingot_file_remove_tree(folder, NULL);
    g_free(folder);
    return !gone;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_endpoint),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_in_the_way),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_other_file_system),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
