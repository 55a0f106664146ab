/* Which of the host's apt sources a bootstrap uses, where logins go, and what state a mirror is in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include "base/file.h"
#include <cmocka.h>
#include <ingot/error.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source/apt.h"

static const char listing[] =
    "'http://mirror.example/debian/dists/bookworm/InRelease' mirror.example_debian_dists_bookworm_InRelease 0 \n"
    "'http://mirror.example/debian/dists/bookworm-updates/InRelease' x 0 \n"
    "'http://mirror.example/debian/dists/bookworm-backports/InRelease' x 0 \n"
    "'http://security.example/debian-security/dists/bookworm-security/InRelease' x 0 \n"
    "'https://vendor.example/apt/dists/bookworm-pgdg/InRelease' x 0 \n"
    "'http://mirror.example/debian/dists/trixie/InRelease' x 0 \n"
    "'http://mirror.example/debian/dists/bookworm/main/binary-amd64/Packages.xz' x 0 \n";

static void test_suite(void **state)
{
    (void)state;
    g_auto(AptSources) sources = {0};
    assert_true(apt_select(listing, "bookworm", "main contrib", &sources, NULL));
    assert_string_equal(sources.lines, "deb http://mirror.example/debian bookworm main contrib\n"
                                       "deb http://mirror.example/debian bookworm-updates main contrib\n"
                                       "deb http://security.example/debian-security bookworm-security main contrib\n");
    assert_string_equal(sources.logins, "");
}

static void test_other_suites(void **state)
{
    (void)state;
    g_auto(AptSources) one = {NULL, NULL}, none = {NULL, NULL};
    assert_true(apt_select(listing, "trixie", "main", &one, NULL));
    assert_true(apt_select(listing, "book", "main", &none, NULL));
    assert_string_equal(one.lines, "deb http://mirror.example/debian trixie main\n");
    assert_string_equal(none.lines, "");
}

/* A login in a source's URL goes to apt's file of logins alone. */
static void test_logins(void **state)
{
    static const char secret[] =
        "'https://me:s3%40cret@mirror.example:8443/debian/dists/bookworm/InRelease' x 0 \n"
        "'http://token@other.example/debian-security/dists/bookworm-security/InRelease' x 0 \n";
    (void)state;
    g_auto(AptSources) sources = {0};
    assert_true(apt_select(secret, "bookworm", "main", &sources, NULL));
    assert_string_equal(sources.lines, "deb https://mirror.example:8443/debian bookworm main\n"
                                       "deb http://other.example/debian-security bookworm-security main\n");
    assert_string_equal(sources.logins, "machine https://mirror.example:8443/debian login me password s3@cret\n"
                                        "machine http://other.example/debian-security login token password \n");
}

/* What apt's file can't hold is refused, without its value. */
static void test_strange_login(void **state)
{
    (void)state;
    g_auto(AptSources) sources = {0};
    g_autoptr(GError) error = NULL;
    assert_false(apt_select("'http://me:a%20b@m.example/dists/x/InRelease' x 0 \n", "x", "main", &sources, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    assert_non_null(strstr(error->message, "http://m.example:"));
    assert_null(strstr(error->message, "a%20b"));
}

static void test_mirror(void **state)
{
    (void)state;
    g_autoptr(GError) error = NULL;
    g_auto(AptSources) sources = {0};
    g_autoptr(json_t) source = json_pack("{s:s, s:s, s:[s,s]}", "suite", "bookworm", "mirror",
                                         "http://u:p@mirror.example/d", "components", "main", "contrib");
    assert_true(apt_sources(source, &sources, &error));
    assert_string_equal(sources.lines, "deb http://mirror.example/d bookworm main contrib\n");
    assert_string_equal(sources.logins, "machine http://mirror.example/d login u password p\n");
}

/* What a guest can't reach, or what is another thing there, is not in its list. */
static void test_guest_lines(void **state)
{
    static const char *const hosts[] = {
        "file:/srv/debian",
        "file:///srv/debian",
        "copy:/srv/debian",
        "mirror+file:/etc/apt/mirrors.txt",
        "mirror+copy:/etc/apt/mirrors.txt",
        "cdrom:[Debian]/",
        "http://localhost/debian",
        "http://LOCALHOST:3142/debian",
        "http://cache.localhost:3142/debian",
        "https://127.0.0.1:8443/debian",
        "http://127.3.2.1",
        "http://[::1]:3142/debian",
        "mirror+http://127.0.0.1/list",
    };
    static const char everybody[] = "deb http://mirror.example/file:/debian bookworm main\n"
                                    "deb https://localhost.example:8443/debian bookworm main\n"
                                    "deb mirror+https://mirror.example/list bookworm main\n"
                                    "deb http://127.example/debian bookworm main\n"
                                    "deb http://10.0.127.1/localhost bookworm main\n";
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(hosts); i++) {
        g_autofree char *lines = g_strdup_printf("deb %s bookworm main\n%s", hosts[i], everybody);
        g_autofree char *guest = apt_guest_lines(lines);
        assert_string_equal(guest, everybody);
    }
    g_autofree char *none = apt_guest_lines("deb file:/srv/debian bookworm main\n");
    assert_string_equal(none, "");
}

typedef struct {
    IngotWorkdir *workdir;
    char *folder, *release;
    AptSources sources;
} Mirror;

static void write_release(const Mirror *mirror, const char *origin, const char *date, const char *more)
{
    g_autofree char *text = g_strdup_printf("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nOrigin: %s\n"
                                            "Suite: bookworm\nDate: %s\n%s",
                                            origin, date, more);
    assert_true(ingot_file_replace(mirror->release, text, strlen(text), 0644, NULL));
}

static int set_up(void **state)
{
    Mirror *mirror = g_new0(Mirror, 1);
    mirror->workdir = ingot_workdir_new(NULL);
    mirror->folder = ingot_workdir_file(mirror->workdir, "mirror");
    g_autofree char *dists = g_build_filename(mirror->folder, "dists", "bookworm", NULL);
    assert_true(ingot_file_make_folder(dists, NULL));
    mirror->release = g_build_filename(dists, "InRelease", NULL);
    mirror->sources.lines = g_strdup_printf("deb file://%s bookworm main\n", mirror->folder);
    mirror->sources.logins = g_strdup("");
    write_release(mirror, "Debian", "Sat, 01 Nov 2025 10:00:00 UTC", "one");
    *state = mirror;
    return 0;
}

static int tear_down(void **state)
{
    Mirror *mirror = *state;
    apt_sources_clear(&mirror->sources);
    ingot_workdir_free(mirror->workdir);
    g_free(mirror->folder);
    g_free(mirror->release);
    g_free(mirror);
    return 0;
}

static gboolean ask(const Mirror *mirror, AptState *found, GError **error)
{
    return apt_state(&mirror->sources, "debian", ingot_workdir_path(mirror->workdir), found, error);
}

static void test_valid_until(void **state)
{
    static const struct {
        const char *more;
        gboolean expired;
    } cases[] = {
        {"", FALSE},
        {"Valid-Until: Sat, 08 Nov 2025 10:00:00 UTC\n", TRUE},
        {"Valid-Until: Sat, 08 Nov 2250 10:00:00 UTC\n", FALSE},
    };
    const Mirror *mirror = *state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(AptState) found = {0};
        write_release(mirror, "Debian", "Sat, 01 Nov 2025 10:00:00 UTC", cases[i].more);
        assert_true(ask(mirror, &found, NULL));
        assert_int_equal(found.expired != NULL, cases[i].expired);
    }
}

static void test_state(void **state)
{
    const Mirror *mirror = *state;
    g_auto(AptState) first = {0}, same = {0}, other = {0};
    assert_true(ask(mirror, &first, NULL) && ask(mirror, &same, NULL));
    write_release(mirror, "Debian", "Sat, 01 Nov 2025 10:00:00 UTC", "two");
    assert_true(ask(mirror, &other, NULL));
    assert_string_equal(first.lines, mirror->sources.lines);
    assert_int_equal(first.time, 1761991200);
    assert_string_equal(first.digest, same.digest);
    assert_string_not_equal(first.digest, other.digest);
}

/* The file of logins is not left behind, and holds what it should for as long as it is there. */
static void test_login_file(void **state)
{
    Mirror *mirror = *state;
    g_auto(AptState) found = {0};
    struct stat info;
    g_autofree char *text = NULL;
    g_autofree char *path = ingot_workdir_file(mirror->workdir, "logins");
    g_autofree char *left = ingot_workdir_file(mirror->workdir, "release-auth.conf");
    g_free(mirror->sources.logins);
    mirror->sources.logins = g_strdup("machine http://h login me password s3cret\n");
    assert_true(apt_write_logins(&mirror->sources, path, NULL));
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    assert_true(g_str_has_prefix(text, mirror->sources.logins));
    assert_true(ask(mirror, &found, NULL));
    assert_false(g_file_test(left, G_FILE_TEST_EXISTS));
}

static const char release[] = "Hash: SHA512\n\nOrigin: Debian\nDate: Sat, 01 Nov 2025 10:00:00 UTC\n";

/* Lets in who knows "me" and "s3@cret". */
static enum MHD_Result serve(void *user, struct MHD_Connection *connection, const char *url, const char *method,
                             const char *version, const char *data, size_t *data_size, void **state)
{
    (void)user, (void)method, (void)version, (void)data, (void)data_size, (void)state;
    const char *login = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");
    g_autofree char *wanted = g_base64_encode((const guchar *)"me:s3@cret", strlen("me:s3@cret"));
    g_autofree char *header = g_strconcat("Basic ", wanted, NULL);
    gboolean in = g_strcmp0(login, header) == 0 && strcmp(url, "/debian/dists/bookworm/InRelease") == 0;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(in ? strlen(release) : 0, (void *)release, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result = MHD_queue_response(connection, in ? 200 : 401, response);
    MHD_destroy_response(response);
    return result;
}

/* A mirror that wants a login gets it from the recipe's URL, by way of apt's file. */
static void test_login_works(void **state)
{
    const Mirror *mirror = *state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, serve, NULL,
                                                 MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_END);
    assert_non_null(daemon);
    int port = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
    static const char *const logins[] = {"me:s3%40cret@", "me:wrong@", ""};
    for (guint i = 0; i < G_N_ELEMENTS(logins); i++) {
        g_autofree char *url = g_strdup_printf("http://%s127.0.0.1:%d/debian", logins[i], port);
        g_autoptr(json_t) source =
            json_pack("{s:s, s:s, s:[s]}", "suite", "bookworm", "mirror", url, "components", "main");
        g_auto(AptSources) sources = {0};
        g_auto(AptState) found = {0};
        g_autoptr(GError) error = NULL;
        assert_true(apt_sources(source, &sources, NULL));
        assert_int_equal(apt_state(&sources, "debian", ingot_workdir_path(mirror->workdir), &found, &error), i == 0);
        if (i == 0) {
            assert_string_equal(found.lines, sources.lines);
        } else {
            assert_null(strstr(error->message, "wrong"));
        }
    }
    MHD_stop_daemon(daemon);
}

static void test_foreign(void **state)
{
    const Mirror *mirror = *state;
    g_auto(AptState) found = {0};
    g_autoptr(GError) error = NULL;
    write_release(mirror, "Vendor", "Sat, 01 Nov 2025 10:00:00 UTC", "one");
    assert_false(ask(mirror, &found, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    /* One that the recipe names may have been filtered by somebody. */
    g_autofree char *url = g_strconcat("file://", mirror->folder, NULL);
    g_autoptr(json_t) source = json_pack("{s:s, s:s, s:[s]}", "suite", "bookworm", "mirror", url, "components", "main");
    g_auto(AptSources) named = {0};
    assert_true(apt_sources(source, &named, NULL));
    assert_true(apt_state(&named, "debian", ingot_workdir_path(mirror->workdir), &found, NULL));
    assert_string_equal(found.lines, named.lines);
}

static void test_security(void **state)
{
    (void)state;
    assert_false(apt_has_security("deb http://m/debian bookworm main\n", "bookworm"));
    assert_false(apt_has_security("deb http://m/bookworm-security bookworm main\n", "bookworm"));
    assert_true(apt_has_security("deb http://m/d bookworm main\ndeb http://m/s bookworm-security main\n", "bookworm"));
    assert_true(apt_has_security("deb http://m/s buster/updates main\n", "buster"));
    assert_true(apt_has_security("deb http://m/debian sid main\n", "sid"));
}

static void test_bad_date(void **state)
{
    const Mirror *mirror = *state;
    g_auto(AptState) found = {0};
    g_autoptr(GError) error = NULL;
    write_release(mirror, "Debian", "soon", "one");
    assert_false(ask(mirror, &found, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
}

static void test_no_mirror(void **state)
{
    const Mirror *mirror = *state;
    g_auto(AptState) found = {0};
    g_autoptr(GError) error = NULL;
    assert_int_equal(unlink(mirror->release), 0);
    assert_false(ask(mirror, &found, &error));
    assert_non_null(strstr(error->message, mirror->folder));
}

/* The guest of a mirror that is asked by https can only ask it with a list of authorities. */
static void test_certificates(void **state)
{
    (void)state;
    assert_true(apt_needs_certificates("deb https://m.example/debian bookworm main\n"));
    assert_true(apt_needs_certificates("deb http://m.example/debian bookworm main\ndeb https://n.example x main\n"));
    assert_false(apt_needs_certificates("deb http://m.example/debian bookworm main\n"));
    assert_false(apt_needs_certificates("deb file:///srv/https://x bookworm main\n"));
    assert_false(apt_needs_certificates(""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_suite),
        cmocka_unit_test(test_other_suites),
        cmocka_unit_test(test_logins),
        cmocka_unit_test(test_strange_login),
        cmocka_unit_test(test_mirror),
        cmocka_unit_test(test_certificates),
        cmocka_unit_test(test_guest_lines),
        TEST(test_state),
        TEST(test_valid_until),
        TEST(test_login_file),
        TEST(test_login_works),
        TEST(test_foreign),
        TEST(test_security),
        TEST(test_bad_date),
        TEST(test_no_mirror),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
