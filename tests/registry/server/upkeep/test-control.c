/* The private door: a job comes as it was sent, its outcome and its lines come back, and no bytes end the server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "server/upkeep/control.h"

#define ODD "gr\xfc"          /* is not UTF-8 */
#define EVEN "gr\xef\xbf\xbd" /* as it arrives */

typedef struct {
    IngotWorkdir *folder;
    Control *control;
    char *keep;      /* of the job that came last */
    gint here, gone; /* atomic: a long job runs and its client is there; has gone */
} Door;

/* As a scrub, say, which asks again and again whether it is still wanted. */
static void run_long(Door *door, const Job *job)
{
    g_atomic_int_set(&door->here, job->gone != NULL && !job->gone(job->client));
    for (guint i = 0; i < 3000 && g_atomic_int_get(&door->gone) == 0; i++) {
        g_usleep(10 * G_TIME_SPAN_MILLISECOND);
        g_atomic_int_set(&door->gone, job->gone(job->client));
    }
}

static json_t *run(const Job *job, JobTell tell, gpointer to, gpointer user, GError **error)
{
    Door *door = user;
    g_free(door->keep);
    door->keep = g_strdup(job->keeps == NULL ? NULL : job->keeps[0]);
    tell(ODD, to);
    if (job->kind == JOB_MERGE) {
        run_long(door, job);
    }
    if (job->kind == JOB_COLLECT) {
        return json_pack("{s:i}", "done", 1);
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED, "%s is not wanted", ODD);
    return NULL;
}

static int set_up(void **state)
{
    Door *door = g_new0(Door, 1);
    door->folder = ingot_workdir_new(NULL);
    door->control = control_start(ingot_workdir_path(door->folder), run, door, NULL);
    *state = door;
    return door->control == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    Door *door = *state;
    control_stop(door->control);
    ingot_workdir_free(door->folder);
    g_free(door->keep);
    g_free(door);
    return 0;
}

static void add_line(const char *line, gpointer user)
{
    g_string_append_printf(user, "%s\n", line);
}

static void expect_outcome(Door *door)
{
    char *keeps[] = {(char *)ODD "/*=3", NULL};
    const Job job = {.kind = JOB_COLLECT, .keeps = keeps};
    g_autoptr(GString) lines = g_string_new(NULL);
    gboolean served = FALSE;
    g_autoptr(json_t) outcome = control_ask(ingot_workdir_path(door->folder), &job, add_line, lines, &served, NULL);
    assert_true(served);
    assert_int_equal(json_integer_value(json_object_get(outcome, "done")), 1);
    assert_string_equal(door->keep, EVEN "/*=3");
    assert_string_equal(lines->str, EVEN "\n");
}

static void a_job_has_an_outcome(void **state)
{
    expect_outcome(*state);
}

static void leave_dead(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    close(fd); /* as a server that is killed leaves it */
}

/* Servers that share a folder have a door each; a verb finds one that lives, whichever was started or ended last. */
static void one_that_lives_is_found(void **state)
{
    Door *door = *state;
    const char *folder = ingot_workdir_path(door->folder);
    g_autofree char *dead = ingot_workdir_file(door->folder, "control-dead.sock");
    leave_dead(dead);
    expect_outcome(door);
    Control *second = control_start(folder, run, door, NULL);
    assert_non_null(second);
    assert_false(g_file_test(dead, G_FILE_TEST_EXISTS));
    expect_outcome(door);
    control_stop(door->control);
    door->control = NULL;
    expect_outcome(door);
    door->control = control_start(folder, run, door, NULL);
    control_stop(second);
    expect_outcome(door);
    control_stop(door->control);
    door->control = NULL;
    const Job job = {.kind = JOB_SCRUB};
    gboolean served = TRUE;
    assert_null(control_ask(folder, &job, add_line, NULL, &served, NULL));
    assert_false(served);
}

/* --- two that start at once --- */

static struct {
    const char *watched; /* the path whose removal lets the other one start; NULL: none is awaited */
    Door *door;
    Control *other;
    GThread *thread;
    gint started; /* atomic */
} race;

static gpointer start_other(gpointer data)
{
    Door *door = data;
    race.other = control_start(ingot_workdir_path(door->folder), run, door, NULL);
    g_atomic_int_set(&race.started, 1);
    return NULL;
}

/* In the place of the system's: between what one server has found and what it does, the other starts, if it can. */
int unlink(const char *path)
{
    if (race.watched != NULL && strcmp(path, race.watched) == 0) {
        race.watched = NULL;
        race.thread = g_thread_new("other", start_other, race.door);
        for (guint i = 0; i < 500 && g_atomic_int_get(&race.started) == 0; i++) {
            g_usleep(G_TIME_SPAN_MILLISECOND);
        }
    }
    return unlinkat(AT_FDCWD, path, 0);
}

static guint count_sockets(const Door *door)
{
    g_autoptr(GDir) dir = g_dir_open(ingot_workdir_path(door->folder), 0, NULL);
    guint count = 0;
    for (const char *name; (name = g_dir_read_name(dir)) != NULL;) {
        count += strstr(name, ".sock") != NULL;
    }
    return count;
}

/* After a power loss all servers of a folder start at once, and all find the dead one's socket. */
static void two_that_start_at_once_have_a_socket_each(void **state)
{
    Door *door = *state;
    g_autofree char *usual = ingot_workdir_file(door->folder, "control.sock");
    g_autofree char *early = ingot_workdir_file(door->folder, "control-00000001.sock~");
    control_stop(door->control);
    leave_dead(usual);
    leave_dead(early); /* killed before it listened */
    race = (typeof(race)){.watched = usual, .door = door};
    door->control = control_start(ingot_workdir_path(door->folder), run, door, NULL);
    g_thread_join(race.thread);
    assert_non_null(door->control);
    assert_non_null(race.other);
    assert_int_equal(count_sockets(door), 2);
    control_stop(race.other);
    expect_outcome(door);
    control_stop(door->control);
    assert_int_equal(count_sockets(door), 0);
    door->control = NULL;
}

/* While one ends, another starts: what that one has by then is its own. */
static void one_ends_while_another_starts(void **state)
{
    Door *door = *state;
    g_autofree char *usual = ingot_workdir_file(door->folder, "control.sock");
    race = (typeof(race)){.watched = usual, .door = door};
    control_stop(door->control);
    g_thread_join(race.thread);
    door->control = race.other;
    assert_non_null(door->control);
    assert_int_equal(count_sockets(door), 1);
    expect_outcome(door);
}

/* --- paths --- */

/* The folder's path may be longer than a socket's. */
static void the_path_of_the_folder_may_be_long(void **state)
{
    Door *door = *state;
    const char *short_path = ingot_workdir_path(door->folder);
    static const gsize lengths[] = {84, 85, 90, 94, 95, 107, 200};
    for (guint i = 0; i < G_N_ELEMENTS(lengths); i++) {
        const Job job = {.kind = JOB_COLLECT};
        g_autoptr(GError) error = NULL;
        g_autoptr(GString) lines = g_string_new(NULL);
        gboolean served = FALSE;
        g_autofree char *more = g_strnfill(lengths[i] - strlen(short_path) - 1, 'x');
        g_autofree char *folder = g_build_filename(short_path, more, NULL);
        assert_true(ingot_file_make_folder(folder, NULL));
        Control *control = control_start(folder, run, door, &error), *second = NULL;
        if (control == NULL || (second = control_start(folder, run, door, &error)) == NULL) {
            fail_msg("%zu: %s", lengths[i], error->message);
        }
        control_stop(control);
        g_autoptr(json_t) outcome = control_ask(folder, &job, add_line, lines, &served, &error);
        if (outcome == NULL) {
            fail_msg("%zu: %s", lengths[i], error->message);
        }
        control_stop(second);
    }
}

static void a_job_has_an_error(void **state)
{
    Door *door = *state;
    const Job job = {.kind = JOB_SCRUB};
    g_autoptr(GString) lines = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    gboolean served = FALSE;
    assert_null(control_ask(ingot_workdir_path(door->folder), &job, add_line, lines, &served, &error));
    assert_true(served);
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_DENIED));
    assert_string_equal(error->message, EVEN " is not wanted");
}

/* Sends a body as a verb would; the connection. */
static int send_body(const Door *door, const char *body, gsize size)
{
    g_autofree char *path = ingot_workdir_file(door->folder, "control.sock");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    g_autofree char *head = g_strdup_printf(
        "POST /job HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %" G_GSIZE_FORMAT "\r\n\r\n", size);
    assert_int_equal(send(fd, head, strlen(head), MSG_NOSIGNAL), strlen(head));
    assert_int_equal(send(fd, body, size, MSG_NOSIGNAL), size);
    return fd;
}

/* The answer to a body, as bytes. */
static char *post(const Door *door, const char *body, gsize size)
{
    g_auto(IngotFd) fd = send_body(door, body, size);
    GString *answer = g_string_new(NULL);
    char buffer[4096];
    gssize got;
    while ((got = recv(fd, buffer, sizeof buffer, 0)) > 0) {
        g_string_append_len(answer, buffer, got);
    }
    return g_string_free(answer, FALSE);
}

static void no_bytes_end_the_server(void **state)
{
    static const struct {
        const char *body;
        gsize size;
    } bodies[] = {
        {"", 0},
        {"\xff\xfe", 2},
        {"{\"kind\": \"gr\xfc\"}", 15},
        {"{\"kind\": \"\0\"}", 13},
        {"{\"kind\": \"collect\", \"\xed\xa0\x80\": 1}", 28},
        {"[]", 2},
        {"{\"kind\": \"nonsense\"}", 20},
    };
    Door *door = *state;
    for (guint i = 0; i < G_N_ELEMENTS(bodies); i++) {
        g_autofree char *answer = post(door, bodies[i].body, bodies[i].size);
        assert_non_null(strstr(answer, "\"error\":"));
    }
    expect_outcome(door);
}

static void wait_for(const gint *flag)
{
    for (guint i = 0; i < 3000 && g_atomic_int_get(flag) == 0; i++) {
        g_usleep(10 * G_TIME_SPAN_MILLISECOND);
    }
    assert_int_equal(g_atomic_int_get(flag), 1);
}

/* A verb that was ended leaves no job behind. */
static void a_job_knows_that_its_client_has_gone(void **state)
{
    Door *door = *state;
    const Job job = {.kind = JOB_MERGE};
    g_autoptr(json_t) object = job_to_json(&job);
    g_autofree char *text = ingot_json_canonical(object);
    int fd = send_body(door, text, strlen(text));
    wait_for(&door->here);
    assert_int_equal(g_atomic_int_get(&door->gone), 0);
    close(fd);
    wait_for(&door->gone);
    expect_outcome(door);
}

/* Packs that are open take descriptors, and select() knows none beyond 1,024. */
static void many_files_are_open(void **state)
{
    Door *door = *state;
    struct rlimit limit;
    int many[1100];
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = MIN(limit.rlim_max, 2 * G_N_ELEMENTS(many));
    if (limit.rlim_cur < 2 * G_N_ELEMENTS(many) || setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        skip();
    }
    for (guint i = 0; i < G_N_ELEMENTS(many); i++) {
        assert_true((many[i] = dup(0)) >= 0);
    }
    expect_outcome(door);
    for (guint i = 0; i < G_N_ELEMENTS(many); i++) {
        close(many[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_job_has_an_outcome, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_lives_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_that_start_at_once_have_a_socket_each, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_ends_while_another_starts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_path_of_the_folder_may_be_long, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_job_has_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_bytes_end_the_server, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_job_knows_that_its_client_has_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_files_are_open, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
