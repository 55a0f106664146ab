/* Children end with us, not with a thread; failures tell what the child said; Ctrl-C is a flag first and an end second.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ingot/error.h>

#include "base/file.h"
#include "base/process.h"

#define SHELL(script) ((const char *const[]){"sh", "-c", script, NULL})

static void test_output(void **state)
{
    (void)state;
    g_autofree char *text = ingot_process_output(SHELL("echo one; echo noise >&2; echo two; echo"), NULL);
    assert_string_equal(text, "one\ntwo\n");
    g_autofree char *nothing = ingot_process_output(SHELL(":"), NULL);
    assert_string_equal(nothing, "");
    /* More than any pipe holds, on both streams at once. */
    g_autofree char *much = ingot_process_output(SHELL("yes x | head -c 300000 >&2; yes y | head -c 300000"), NULL);
    assert_int_equal(strlen(much), 299999);
}

static void test_run(void **state)
{
    const char *const environment[] = {"WORD=a=b", NULL};
    g_autoptr(GError) error = NULL;

    (void)state;
    assert_true(ingot_process_run(SHELL("test \"$WORD\" = a=b && test \"$PWD\" = /"), environment, "/", &error));
    assert_true(ingot_process_run(SHELL("! read -r line"), NULL, NULL, &error)); /* stdin is empty */
}

static void test_limit(void **state)
{
    g_autoptr(GError) error = NULL;

    (void)state;
    assert_true(ingot_process_run_within(SHELL("exit 0"), 60, &error));
    assert_false(ingot_process_run_within(SHELL("exit 3"), 60, NULL));
    gint64 began = g_get_monotonic_time();
    assert_false(ingot_process_run_within(SHELL("echo words; sleep 300"), 1, &error));
    assert_true(g_get_monotonic_time() - began < 60 * G_USEC_PER_SEC);
    assert_string_equal(error->message, "sh: still running after 1 s: ended");
}

/* What a child may allocate, and that it leaves no core file where it may not. */
static void test_bounded(void **state)
{
    static const char *const takes[] = {"python3", "-c", "bytearray(100 << 20)", NULL};
    g_autoptr(GError) error = NULL;

    (void)state;
    assert_true(ingot_process_run_bounded(takes, 0, 0, &error));
    assert_true(ingot_process_run_bounded(takes, 400u << 20, 0, &error));
    assert_false(ingot_process_run_bounded(takes, 64u << 20, 0, &error));
    assert_non_null(strstr(error->message, "MemoryError"));
    assert_true(ingot_process_run_bounded(SHELL("[ \"$(ulimit -c)\" = 0 ]"), 64u << 20, 0, NULL));
    g_autoptr(GSubprocess) child = ingot_process_start_bounded(takes, -1, 64u << 20, NULL);
    g_subprocess_wait(child, NULL, NULL);
    assert_false(g_subprocess_get_successful(child));
}

/* How large a file it may make, whether by bytes or by a hole. */
static void test_bounded_file(void **state)
{
    g_autoptr(IngotWorkdir) folder = ingot_workdir_new(NULL);
    g_autofree char *path = ingot_workdir_file(folder, "file"), *size = g_strdup_printf("truncate -s 2M '%s'", path);
    g_autofree char *bytes = g_strdup_printf("head -c 2M /dev/zero >'%s'", path);
    const char *const commands[] = {size, bytes};

    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(commands); i++) {
        struct stat info;
        assert_true(ingot_process_run_bounded(SHELL(commands[i]), 0, 2u << 20, NULL));
        assert_int_equal(unlink(path), 0);
        assert_false(ingot_process_run_bounded(SHELL(commands[i]), 0, 1u << 20, NULL));
        assert_true(stat(path, &info) != 0 || info.st_size <= 1 << 20);
    }
}

static void test_failure(void **state)
{
    g_autoptr(GError) status = NULL, killed = NULL, missing = NULL;

    (void)state;
    assert_false(ingot_process_run(SHELL("seq 100000; echo 'no such disk' >&2; exit 3"), NULL, NULL, &status));
    assert_true(g_str_has_prefix(status->message, "sh: failed with status 3:\n"));
    assert_true(g_str_has_suffix(status->message, "100000\nno such disk"));
    assert_true(strlen(status->message) < 4096);

    assert_false(ingot_process_run(SHELL("kill -9 $$"), NULL, NULL, &killed));
    assert_non_null(strstr(killed->message, "signal 9"));

    assert_null(ingot_process_output((const char *const[]){"no-such-program", NULL}, &missing));
    assert_true(g_error_matches(missing, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
    assert_non_null(strstr(missing->message, "no-such-program"));
}

static void test_too_much(void **state)
{
    g_autoptr(GError) error = NULL;

    (void)state;
    assert_null(ingot_process_output((const char *const[]){"cat", "/dev/zero", NULL}, &error));
    assert_non_null(strstr(error->message, "16 MiB"));
}

static void test_log(void **state)
{
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(NULL);
    g_autofree char *path = ingot_workdir_file(workdir, "log");
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDWR | O_CREAT, 0600, NULL);

    (void)state;
    g_autoptr(GSubprocess) child = ingot_process_start(SHELL("echo out; echo err >&2"), fd, NULL);
    assert_true(g_subprocess_wait_check(child, NULL, NULL));
    g_autoptr(GBytes) log = ingot_file_read(path, 100, NULL);
    assert_int_equal(g_bytes_get_size(log), 8);
    assert_memory_equal(g_bytes_get_data(log, NULL), "out\nerr\n", 8);
    assert_int_equal(write(fd, "x", 1), 1); /* still ours */
}

/* Waits until fd is at its end, which is when nobody holds the other end any more. */
static gboolean ends_within(int fd, int seconds)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    char byte;

    while (poll(&wait, 1, seconds * 1000) == 1)
        if (read(fd, &byte, 1) <= 0)
            return TRUE;
    return FALSE;
}

static gpointer start_sleep(gpointer fd)
{
    return ingot_process_start((const char *const[]){"sh", "-c", "echo; exec sleep 300", NULL}, GPOINTER_TO_INT(fd),
                               NULL);
}

/* A process that starts a long child, in a thread that has ended or not, and is killed: the child, which holds the
 * pipe, ends too. */
static void dies_with_parent(gboolean in_thread)
{
    int ends[2];
    char byte;

    assert_int_equal(pipe(ends), 0);
    pid_t parent = fork();
    assert_true(parent >= 0);
    if (parent == 0) {
        gpointer fd = GINT_TO_POINTER(ends[1]);
        if (!(in_thread ? g_thread_join(g_thread_new("starter", start_sleep, fd)) : start_sleep(fd)))
            _exit(1);
        close(ends[1]);
        for (;;)
            pause();
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1); /* the child runs */
    kill(parent, SIGKILL);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    assert_true(ends_within(ends[0], 10));
    close(ends[0]);
}

static void test_dies_with_parent(void **state)
{
    (void)state;
    dies_with_parent(FALSE);
    dies_with_parent(TRUE);
}

typedef struct {
    pid_t thread;
    GSubprocess *child;
} Started;

static gpointer start_in_thread(gpointer user)
{
    Started *started = user;
    sigset_t mask;

    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &mask, NULL);
    started->thread = gettid();
    started->child = ingot_process_start((const char *const[]){"sleep", "300", NULL}, -1, NULL);
    return NULL;
}

/* The thread is gone, not only its work done: what it was to kill has got its signal. */
static void wait_for_thread(pid_t thread)
{
    g_autofree char *path = g_strdup_printf("/proc/self/task/%d", thread);

    while (g_file_test(path, G_FILE_TEST_EXISTS))
        g_usleep(1000);
}

/* The child goes on after its thread, with its mask of signals. */
static void test_outlives_its_thread(void **state)
{
    Started started = {0};

    (void)state;
    g_thread_join(g_thread_new("starter", start_in_thread, &started));
    assert_non_null(started.child);
    wait_for_thread(started.thread);
    g_subprocess_send_signal(started.child, SIGUSR1); /* blocked in it, as in its thread */
    g_subprocess_send_signal(started.child, SIGTERM); /* and this is not */
    assert_true(g_subprocess_wait(started.child, NULL, NULL));
    assert_true(g_subprocess_get_if_signaled(started.child));
    assert_int_equal(g_subprocess_get_term_sig(started.child), SIGTERM);
    g_object_unref(started.child);
}

/* In a process of its own, since the flag stays up. */
static int wait_for_child(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* No file gets the number of a stream that is closed. */
static void test_fill_standard(void **state)
{
    (void)state;
    for (int closed = 0; closed < 8; closed++) {
        pid_t child = fork();
        if (child == 0) {
            for (int fd = 0; fd < 3; fd++) {
                if ((closed & 1 << fd) != 0)
                    close(fd);
            }
            ingot_process_fill_standard();
            if (open("/dev/zero", O_RDONLY) < 3)
                _exit(10);
            if ((closed & 2) != 0 && (write(1, "x", 1) >= 0 || errno != EBADF))
                _exit(11);
            if ((closed & 4) != 0 && write(2, "x", 1) != 1)
                _exit(12);
            _exit(0);
        }
        int status = wait_for_child(child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

static void test_interrupt(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        g_autoptr(GError) error = NULL;
        ingot_interrupt_install();
        struct pollfd wait = {.fd = ingot_interrupt_fd(), .events = POLLIN};
        if (!ingot_interrupt_check(NULL) || poll(&wait, 1, 0) != 0)
            _exit(10);
        raise(SIGTERM);
        if (ingot_interrupt_check(&error) || poll(&wait, 1, 0) != 1)
            _exit(11);
        if (ingot_error_exit_status(error) != 130)
            _exit(12);
        raise(SIGINT);
        _exit(13);
    }
    int status = wait_for_child(child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGINT);
}

#define NO_NAMESPACE 77

/* A container's first process: signals without a handler do nothing to it. */
static void test_interrupted_first_process(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        if (unshare(geteuid() == 0 ? CLONE_NEWPID : CLONE_NEWUSER | CLONE_NEWPID) != 0)
            _exit(NO_NAMESPACE);
        pid_t first = fork();
        if (first == 0) {
            ingot_interrupt_install();
            raise(SIGINT);
            if (getpid() != 1 || ingot_interrupt_check(NULL))
                _exit(10);
            raise(SIGTERM);
            _exit(11);
        }
        int status;
        _exit(waitpid(first, &status, 0) == first && WIFEXITED(status) ? WEXITSTATUS(status) : 12);
    }
    int status = wait_for_child(child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == NO_NAMESPACE)
        skip();
    assert_int_equal(WEXITSTATUS(status), 128 + SIGTERM);
}

/* What this program does when it is started with an argument: a child process that is interrupted while it waits for
 * one of its own. A new program, since a fork has lost the thread in which GLib waits for children. */
static int run_and_be_interrupted(void)
{
    g_autoptr(GError) error = NULL;

    ingot_interrupt_install();
    alarm(30); /* so that a failure is no hang */
    gint64 start = g_get_monotonic_time();
    if (ingot_process_run(SHELL("kill -TERM $PPID; sleep 300"), NULL, NULL, &error))
        return 1;
    return g_get_monotonic_time() - start < 9 * G_USEC_PER_SEC ? ingot_error_exit_status(error) : 1;
}

static void test_interrupted_run(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "test-process", "interrupted", NULL);
        _exit(1);
    }
    int status = wait_for_child(child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 130);
}

int main(int argc, char **argv)
{
    if (argc == 2 && g_str_equal(argv[1], "interrupted"))
        return run_and_be_interrupted();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output),
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_bounded_file),
        cmocka_unit_test(test_failure),
        cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_dies_with_parent),
        cmocka_unit_test(test_outlives_its_thread),
        cmocka_unit_test(test_fill_standard),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_interrupted_first_process),
        cmocka_unit_test(test_interrupted_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
