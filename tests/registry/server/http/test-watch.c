/* The watch: who is slow is ended; a client is not blamed for what the server does itself, nor for its thread's other
 * clients. One thread serves all here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "server/http/watch.h"

#define LIMIT_SECONDS 2
#define WORK (4 * G_USEC_PER_SEC)

static Watch *watch;
static struct MHD_Daemon *daemon_;
static gint working; /* atomic */

static gpointer work_elsewhere(gpointer connection)
{
    g_usleep(WORK);
    MHD_resume_connection(connection);
    return NULL;
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *path, const char *method,
                                  const char *version, const char *data, size_t *size, void **state)
{
    (void)user, (void)method, (void)version, (void)data;
    if (*state == NULL) {
        *state = "";
        watch_begin(connection);
        if (strcmp(path, "/proxied") == 0) {
            watch_excuse(connection);
        }
        return MHD_YES;
    }
    if (*size > 0) {
        *size = 0;
        return MHD_YES;
    }
    if (strcmp(path, "/elsewhere") == 0 && g_atomic_int_compare_and_exchange(&working, 0, 1)) {
        watch_suspend(connection);
        MHD_suspend_connection(connection);
        g_thread_unref(g_thread_new("work", work_elsewhere, connection));
        return MHD_YES;
    }
    if (strcmp(path, "/work") == 0) {
        watch_enter();
        g_atomic_int_set(&working, 1);
        g_usleep(WORK);
        watch_leave();
    }
    watch_resume(connection);
    struct MHD_Response *response = MHD_create_response_from_buffer(2, "ok", MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

static void on_end(void *user, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode code)
{
    (void)user, (void)code;
    if (*state != NULL) {
        watch_end(connection);
    }
}

static int begin(void **state)
{
    (void)state;
    watch =
        watch_new(&(WatchLimits){.head_seconds = LIMIT_SECONDS, .min_rate = 100, .rate_seconds = LIMIT_SECONDS}, NULL);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    daemon_ = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request,
                               NULL, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL,
                               MHD_OPTION_NOTIFY_CONNECTION, watch_connection, watch, MHD_OPTION_END);
    g_atomic_int_set(&working, 0);
    return daemon_ == NULL;
}

static int end(void **state)
{
    (void)state;
    MHD_stop_daemon(daemon_);
    assert_int_equal(watch_figures(watch).open, 0);
    watch_free(watch);
    return 0;
}

static int client(const char *said)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(MHD_get_daemon_info(daemon_, MHD_DAEMON_INFO_BIND_PORT)->port),
        .sin_addr = {htonl(INADDR_LOOPBACK)},
    };
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(send(fd, said, strlen(said), MSG_NOSIGNAL), (ssize_t)strlen(said));
    return fd;
}

static gboolean is_answered(int fd)
{
    char answer[256];
    ssize_t got = recv(fd, answer, sizeof answer, 0);
    return got > 0 && memcmp(answer, "HTTP/1.1 200", 12) == 0;
}

/* A byte now and then, until the other side ends it. */
static void drip(int fd)
{
    char byte;
    while (send(fd, "x", 1, MSG_NOSIGNAL) == 1 && recv(fd, &byte, 1, MSG_DONTWAIT) != 0) {
        g_usleep(G_USEC_PER_SEC / 10);
    }
    close(fd);
}

static void a_head_has_to_come(void **state)
{
    (void)state;
    drip(client("GET /"));
    assert_int_equal(watch_figures(watch).heads, 1);
    int fd = client("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(is_answered(fd));
    g_usleep(LIMIT_SECONDS * G_USEC_PER_SEC + G_USEC_PER_SEC); /* between requests it may wait */
    assert_int_equal(watch_figures(watch).heads, 1);
    assert_int_equal(send(fd, "GET /", 5, MSG_NOSIGNAL), 5);
    drip(fd);
    assert_int_equal(watch_figures(watch).heads, 2);
    assert_int_equal(watch_figures(watch).stalled, 0);
}

static void a_body_has_to_move(void **state)
{
    (void)state;
    drip(client("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"));
    assert_int_equal(watch_figures(watch).stalled, 1);
    assert_int_equal(watch_figures(watch).heads, 0);
}

static void the_work_of_the_server_does_not_count(void **state)
{
    (void)state;
    int waiting = client("GET / HTTP/1.1\r\n"), fd = client("GET /work HTTP/1.1\r\nHost: a\r\n\r\n");
    while (!g_atomic_int_get(&working)) {
        g_usleep(1000);
    }
    assert_true(is_answered(fd));
    assert_int_equal(send(waiting, "Host: a\r\n\r\n", 11, MSG_NOSIGNAL), 11);
    assert_true(is_answered(waiting));
    WatchFigures figures = watch_figures(watch);
    assert_int_equal(figures.open, 2);
    assert_int_equal(figures.heads + figures.stalled, 0);
    close(waiting);
    close(fd);
}

static void nor_does_that_of_other_threads(void **state)
{
    (void)state;
    int fd = client("GET /elsewhere HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(is_answered(fd));
    assert_int_equal(watch_figures(watch).stalled, 0);
    close(fd);
}

/* Nor a proxy's pause; what comes behind on the same connection is judged again. */
static void a_proxy_may_pause(void **state)
{
    (void)state;
    int fd = client("PUT /proxied HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n");
    g_usleep(3 * LIMIT_SECONDS * G_USEC_PER_SEC);
    assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), 1);
    assert_true(is_answered(fd));
    assert_int_equal(watch_figures(watch).stalled, 0);
    static const char next[] = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";
    assert_int_equal(send(fd, next, sizeof next - 1, MSG_NOSIGNAL), sizeof next - 1);
    drip(fd);
    assert_int_equal(watch_figures(watch).stalled, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_head_has_to_come, begin, end),
        cmocka_unit_test_setup_teardown(a_body_has_to_move, begin, end),
        cmocka_unit_test_setup_teardown(the_work_of_the_server_does_not_count, begin, end),
        cmocka_unit_test_setup_teardown(nor_does_that_of_other_threads, begin, end),
        cmocka_unit_test_setup_teardown(a_proxy_may_pause, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
