/* A download goes on where it was, and nothing that is not the wanted file gets its name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include "bundle/checked.h"
#include "bundle/download.h"
#include <cmocka.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIZE 300000

/* How often something was flushed: the program's own counts before the C library's. */
static guint flushed;
int fsync(int fd)
{
    flushed++;
    return (int)syscall(SYS_fsync, fd);
}

/* A server of one file, with ranges or without, that may break off once in the middle. */
typedef struct {
    char *bytes;
    gboolean ranges, breaks;
    gboolean changes;  /* from the second request on it has another file, and says so by its tag */
    gboolean unsteady; /* each answer has a tag of its own, and breaks off */
    guint requests;
    guint64 sent; /* bytes of bodies */
    struct MHD_Daemon *daemon;
    char *url;
} Server;

typedef struct {
    Server *server;
    guint64 start;
    gboolean breaks;
} Body;

static ssize_t body_read(void *user, uint64_t position, char *buffer, size_t size)
{
    Body *body = user;
    guint64 from = body->start + position;
    if (body->breaks && position >= 100000) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    size = MIN(size, MIN(65536, SIZE - from));
    memcpy(buffer, body->server->bytes + from, size);
    body->server->sent += size;
    return (ssize_t)size;
}

static enum MHD_Result answer(void *user, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *data, size_t *data_size, void **state)
{
    Server *server = user;
    (void)method, (void)version, (void)data, (void)data_size;
    if (*state == NULL) {
        *state = server;
        return MHD_YES;
    }
    const char *range = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Range");
    guint64 start = range == NULL || !server->ranges ? 0 : g_ascii_strtoull(range + strlen("bytes="), NULL, 10);
    guint edition = server->unsteady ? server->requests : server->changes ? MIN(server->requests, 1) : 0;
    g_autofree char *tag = g_strdup_printf("\"%u\"", edition);
    const char *same = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "If-Range");
    if (server->changes && server->requests == 1) {
        memset(server->bytes, 'n', SIZE);
    }
    start = same == NULL || strcmp(same, tag) == 0 ? start : 0;
    guint refusal = (guint)g_ascii_strtoull(url + 1, NULL, 10); /* "/410" */
    unsigned status = refusal > 0                 ? refusal
                      : strcmp(url, "/disk") != 0 ? 404
                      : start >= SIZE             ? 416
                      : start > 0                 ? 206
                                                  : 200;
    struct MHD_Response *response;
    if (status >= 400) {
        response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    } else {
        Body *body = g_new0(Body, 1);
        *body = (Body){server, start, (server->breaks && server->requests == 0) || server->unsteady};
        response = MHD_create_response_from_callback(SIZE - start, 65536, body_read, body, g_free);
    }
    if (status == 206) {
        g_autofree char *value = g_strdup_printf("bytes %" G_GUINT64_FORMAT "-%d/%d", start, SIZE - 1, SIZE);
        MHD_add_response_header(response, "Content-Range", value);
    }
    if (status < 400) {
        MHD_add_response_header(response, "ETag", tag);
    }
    server->requests++;
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

typedef struct {
    Server server;
    IngotWorkdir *workdir;
    char *path, *part;
    IngotDigest wanted;
} Fixture;

static int set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    fixture->workdir = ingot_workdir_new(NULL);
    fixture->path = ingot_workdir_file(fixture->workdir, "disk");
    fixture->part = ingot_workdir_file(fixture->workdir, "disk.part");
    Server *server = &fixture->server;
    server->ranges = TRUE;
    server->bytes = g_malloc(SIZE);
    for (gsize i = 0; i < SIZE; i++) {
        server->bytes[i] = (char)(i * 31 + i / 251);
    }
    ingot_digest_of(server->bytes, SIZE, &fixture->wanted);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    server->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, answer, server,
                                      MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_END);
    assert_non_null(server->daemon);
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);
    server->url = g_strdup_printf("http://127.0.0.1:%u/disk", info->port);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    Fixture *fixture = *state;
    MHD_stop_daemon(fixture->server.daemon);
    ingot_workdir_free(fixture->workdir);
    g_free(fixture->server.bytes);
    g_free(fixture->server.url);
    g_free(fixture->path);
    g_free(fixture->part);
    g_free(fixture);
    return 0;
}

static void put_part(const Fixture *fixture, const void *bytes, gsize size)
{
    assert_true(g_file_set_contents(fixture->part, bytes, (gssize)size, NULL));
}

static void expect_whole(const Fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    ingot_download(fixture->server.url, fixture->path, &fixture->wanted, NULL, &error);
    assert_null(error);
    assert_true(ingot_checked_read(fixture->path, "disk", &fixture->wanted, NULL));
    assert_false(g_file_test(fixture->part, G_FILE_TEST_EXISTS));
}

static void test_whole(void **state)
{
    const Fixture *fixture = *state;
    expect_whole(fixture);
    assert_int_equal(fixture->server.sent, SIZE);
}

static void test_resumes(void **state)
{
    const Fixture *fixture = *state;
    put_part(fixture, fixture->server.bytes, 200000);
    expect_whole(fixture);
    assert_int_equal(fixture->server.sent, SIZE - 200000);
}

static void test_breaks_off(void **state)
{
    Fixture *fixture = *state;
    fixture->server.breaks = TRUE;
    expect_whole(fixture);
    assert_int_equal(fixture->server.requests, 2);
}

static void test_no_ranges(void **state)
{
    Fixture *fixture = *state;
    fixture->server.ranges = FALSE;
    put_part(fixture, fixture->server.bytes, 200000);
    expect_whole(fixture);
}

static void test_complete_part(void **state)
{
    const Fixture *fixture = *state;
    put_part(fixture, fixture->server.bytes, SIZE);
    expect_whole(fixture);
    assert_int_equal(fixture->server.sent, 0);
}

/* What lies there is of an older file of that name. */
static void test_stale_part(void **state)
{
    const Fixture *fixture = *state;
    put_part(fixture, "something else", 14);
    expect_whole(fixture);
}

static gboolean take_any(const char *path, const char *name, gpointer user, GError **error)
{
    (void)path, (void)name, (void)user, (void)error;
    return TRUE;
}

/* Nothing else would tell that its halves are of two files. */
static void test_changes(void **state)
{
    Fixture *fixture = *state;
    const IngotDownloadWish wish = {.url = fixture->server.url, .check = take_any};
    g_autofree char *got = NULL;
    gsize size;
    fixture->server.breaks = fixture->server.changes = TRUE;
    assert_true(ingot_download_as(&wish, fixture->path, NULL, NULL, NULL));
    assert_true(g_file_get_contents(fixture->path, &got, &size, NULL));
    assert_int_equal(size, SIZE);
    assert_memory_equal(got, fixture->server.bytes, SIZE);
}

static void test_another_file_each_time(void **state)
{
    Fixture *fixture = *state;
    const IngotDownloadWish wish = {.url = fixture->server.url, .check = take_any};
    for (guint ranges = 0; ranges < 2; ranges++) {
        g_autoptr(GError) error = NULL;
        fixture->server.ranges = ranges > 0;
        fixture->server.unsteady = TRUE;
        fixture->server.requests = 0;
        assert_false(ingot_download_as(&wish, fixture->path, NULL, NULL, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NETWORK));
        assert_in_range(fixture->server.requests, 2, 20);
        assert_false(g_file_test(fixture->path, G_FILE_TEST_EXISTS));
    }
}

static void test_what_another_run_received(void **state)
{
    Fixture *fixture = *state;
    IngotDownloadWish wish = {.url = fixture->server.url, .anew = TRUE, .check = take_any};
    guint64 received = 7;
    put_part(fixture, fixture->server.bytes, 100000);
    assert_true(ingot_download_as(&wish, fixture->path, &received, NULL, NULL));
    assert_int_equal(received, 7 + SIZE);
}

/* What lasts is flushed before it has its name, what is read once and removed is not. */
static void test_flushes(void **state)
{
    Fixture *fixture = *state;
    IngotDownloadWish wish = {.url = fixture->server.url, .check = take_any, .passing = TRUE};
    flushed = 0;
    assert_true(ingot_download_as(&wish, fixture->path, NULL, NULL, NULL));
    assert_true(ingot_checked_read(fixture->path, "disk", &fixture->wanted, NULL));
    assert_int_equal(flushed, 0);
    wish.passing = FALSE;
    assert_true(ingot_download_as(&wish, fixture->path, NULL, NULL, NULL));
    assert_true(flushed > 0);
}

static void test_refusals(void **state)
{
    Fixture *fixture = *state;
    static const struct {
        const char *status;
        guint64 most;
        IngotError code;
    } cases[] = {{"401", 0, INGOT_ERROR_DENIED},    {"403", 0, INGOT_ERROR_DENIED},
                 {"404", 0, INGOT_ERROR_NOT_FOUND}, {"410", 0, INGOT_ERROR_NOT_FOUND},
                 {"500", 0, INGOT_ERROR_NETWORK},   {"disk", SIZE - 1, INGOT_ERROR_LIMIT},
                 {"disk", 1, INGOT_ERROR_LIMIT}};
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *base = g_path_get_dirname(fixture->server.url);
        g_autofree char *url = g_strconcat(base, "/", cases[i].status, NULL);
        const IngotDownloadWish wish = {.url = url, .most = cases[i].most, .check = take_any};
        g_autoptr(GError) error = NULL;
        assert_false(ingot_download_as(&wish, fixture->path, NULL, NULL, &error));
        assert_int_equal(error->code, cases[i].code);
        assert_false(g_file_test(fixture->path, G_FILE_TEST_EXISTS));
    }
}

static void test_wrong_digest(void **state)
{
    const Fixture *fixture = *state;
    IngotDigest other;
    ingot_digest_of("x", 1, &other);
    g_autoptr(GError) error = NULL;
    g_autofree char *has = ingot_digest_to_text(&fixture->wanted);
    g_autofree char *want = ingot_digest_to_text(&other);
    assert_false(ingot_download(fixture->server.url, fixture->path, &other, NULL, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
    assert_non_null(strstr(error->message, has));
    assert_non_null(strstr(error->message, want));
    assert_false(g_file_test(fixture->path, G_FILE_TEST_EXISTS));
    assert_false(g_file_test(fixture->part, G_FILE_TEST_EXISTS));
}

/* A download that is kept is checked at each use: what has rotted is fetched again. */
static void test_kept(void **state)
{
    const Fixture *fixture = *state;
    const char *cache = ingot_workdir_path(fixture->workdir);
    g_autoptr(IngotLock) use = NULL, again = NULL, third = NULL;
    g_autofree char *path = ingot_download_cached(cache, fixture->server.url, &fixture->wanted, NULL, &use, NULL);
    g_autofree char *same = ingot_download_cached(cache, fixture->server.url, &fixture->wanted, NULL, &again, NULL);
    assert_string_equal(path, same);
    assert_int_equal(fixture->server.requests, 1);
    struct stat before;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0 && fstat(fd, &before) == 0 && pwrite(fd, "!", 1, 1000) == 1);
    const struct timespec times[] = {before.st_atim, before.st_mtim};
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
    g_autofree char *mended = ingot_download_cached(cache, fixture->server.url, &fixture->wanted, NULL, &third, NULL);
    assert_non_null(mended);
    assert_int_equal(fixture->server.requests, 2);
    assert_true(ingot_checked_read(mended, "disk", &fixture->wanted, NULL));
}

/* A signature or a login in the URL is in no message. */
static void test_secret_url(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;
    g_autofree char *url =
        g_strdup_printf("http://me:s3cret@%s-none?sig=s3cret", fixture->server.url + strlen("http://"));
    assert_false(ingot_download(url, fixture->path, &fixture->wanted, NULL, &error));
    assert_null(strstr(error->message, "s3cret"));
    assert_non_null(strstr(error->message, "/disk-none?..."));
}

static void test_not_there(void **state)
{
    const Fixture *fixture = *state;
    g_autofree char *url = g_strconcat(fixture->server.url, "-gone", NULL);
    g_autoptr(GError) error = NULL;
    assert_false(ingot_download(url, fixture->path, &fixture->wanted, NULL, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
    assert_non_null(strstr(error->message, url));
}

static void test_refused(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;
    assert_false(ingot_download("http://127.0.0.1:1/disk", fixture->path, &fixture->wanted, NULL, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NETWORK));
    assert_non_null(strstr(error->message, "127.0.0.1:1/disk"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_whole),
        TEST(test_resumes),
        TEST(test_breaks_off),
        TEST(test_no_ranges),
        TEST(test_complete_part),
        TEST(test_stale_part),
        TEST(test_changes),
        TEST(test_another_file_each_time),
        TEST(test_what_another_run_received),
        TEST(test_flushes),
        TEST(test_refusals),
        TEST(test_wrong_digest),
        TEST(test_kept),
        TEST(test_secret_url),
        TEST(test_not_there),
        TEST(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
