/* Files are whole or not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ingot/digest.h>
#include <ingot/error.h>

#include "base/file.h"
#include "base/process.h"

static int set_up(void **state)
{
    *state = ingot_workdir_new(NULL);
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    ingot_workdir_free(*state);
    return 0;
}

static guint count_entries(const char *path)
{
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    guint count = 0;

    assert_non_null(folder);
    while (g_dir_read_name(folder))
        count++;
    return count;
}

static void assert_content(const char *path, const char *expected)
{
    g_autoptr(GBytes) content = ingot_file_read(path, 1 << 20, NULL);
    assert_non_null(content);
    assert_int_equal(g_bytes_get_size(content), strlen(expected));
    assert_memory_equal(g_bytes_get_data(content, NULL), expected, strlen(expected));
}

static void test_replace(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "index.json");
    struct stat status;

    assert_true(ingot_file_replace(path, "one", 3, 0640, NULL));
    assert_true(ingot_file_replace(path, "second", 6, 0640, NULL));
    assert_content(path, "second");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0137, 0); /* no more than asked for */
    assert_int_equal(count_entries(ingot_workdir_path(*state)), 1);
}

/* A write that fails half-way (a file size limit stands in for a full disk) leaves the old file and nothing else. It
 * runs in a child, whose limit ends with it. */
static void test_replace_fails(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "index.json");

    assert_true(ingot_file_replace(path, "old", 3, 0600, NULL));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit limit = {.rlim_cur = 4096, .rlim_max = 4096};
        g_autofree char *big = g_strnfill(10000, 'x');
        g_autoptr(GError) error = NULL;
        signal(SIGXFSZ, SIG_IGN);
        _exit(setrlimit(RLIMIT_FSIZE, &limit) == 0 && !ingot_file_replace(path, big, 10000, 0600, &error) &&
                      g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NO_SPACE) && strstr(error->message, path)
                  ? 0
                  : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_content(path, "old");
    assert_int_equal(count_entries(ingot_workdir_path(*state)), 1);
}

static void test_replace_nowhere(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "missing/index.json");
    g_autoptr(GError) error = NULL;

    assert_false(ingot_file_replace(path, "x", 1, 0600, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
}

static void test_read_limit(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "ten");
    g_autoptr(GError) error = NULL;

    assert_true(ingot_file_replace(path, "0123456789", 10, 0600, NULL));
    g_autoptr(GBytes) whole = ingot_file_read(path, 10, &error);
    assert_non_null(whole);
    assert_null(ingot_file_read(path, 9, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    assert_non_null(strstr(error->message, "9 bytes"));
}

static void test_positions(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "disk");
    g_autoptr(GError) error = NULL;
    char buffer[8];
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDWR | O_CREAT, 0600, &error);

    assert_true(fd >= 0);
    assert_true(ingot_file_pwrite(fd, "abcdefgh", 8, 100, path, &error));
    assert_true(ingot_file_pread(fd, buffer, 8, 100, path, &error));
    assert_memory_equal(buffer, "abcdefgh", 8);
    assert_false(ingot_file_pread(fd, buffer, 8, 104, path, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
    assert_non_null(strstr(error->message, path));
    assert_non_null(strstr(error->message, "offset 108"));
}

static void test_remove_tree(void **state)
{
    g_autofree char *tree = ingot_workdir_file(*state, "tree");
    g_autofree char *deep = ingot_workdir_file(*state, "tree/a/b/c");
    g_autofree char *locked = ingot_workdir_file(*state, "tree/a");
    g_autofree char *link = ingot_workdir_file(*state, "tree/link");
    g_autofree char *outside = ingot_workdir_file(*state, "outside");
    g_autofree char *kept = ingot_workdir_file(*state, "outside/kept");

    assert_true(ingot_file_make_folder(deep, NULL));
    assert_true(ingot_file_make_folder(deep, NULL)); /* once more is as well */
    assert_true(ingot_file_make_folder(outside, NULL));
    assert_true(ingot_file_replace(kept, "x", 1, 0600, NULL));
    assert_int_equal(symlink("../outside", link), 0);
    assert_int_equal(chmod(locked, 0), 0);

    assert_true(ingot_file_remove_tree(tree, NULL));
    assert_int_not_equal(access(tree, F_OK), 0);
    assert_int_equal(access(kept, F_OK), 0);
    assert_true(ingot_file_remove_tree(tree, NULL)); /* nothing there is no error */
}

static void test_lock(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "lock");
    g_autoptr(GError) error = NULL;

    IngotLock *first = ingot_lock_take(path, FALSE, FALSE, &error);
    IngotLock *second = ingot_lock_take(path, FALSE, FALSE, &error);
    assert_non_null(first);
    assert_non_null(second);
    assert_null(ingot_lock_take(path, TRUE, FALSE, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_EXISTS));
    g_clear_error(&error);
    ingot_lock_release(first);
    ingot_lock_release(second);

    g_autoptr(IngotLock) exclusive = ingot_lock_take(path, TRUE, FALSE, &error);
    assert_non_null(exclusive);
    assert_null(ingot_lock_take(path, FALSE, FALSE, NULL));
}

static gpointer take_and_remove(gpointer path)
{
    g_autoptr(IngotLock) lock = ingot_lock_take(path, TRUE, TRUE, NULL);
    return GINT_TO_POINTER(lock && access(path, F_OK) == 0);
}

/* Who waited for a lock whose holder removed the file gets a lock on a file that others find too. */
static void test_lock_removed(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "lock");
    IngotLock *lock = ingot_lock_take(path, TRUE, FALSE, NULL);
    GThread *waiter = g_thread_new("waiter", take_and_remove, path);

    g_usleep(50000); /* most likely waiting by now; the outcome must be the same if it is not */
    assert_int_equal(unlink(path), 0);
    ingot_lock_release(lock);
    assert_true(GPOINTER_TO_INT(g_thread_join(waiter)));
}

static gpointer interrupt_soon(gpointer why)
{
    g_usleep(300000);
    ingot_interrupt_raise(why);
    return NULL;
}

/* In a process of its own, since the flag stays up. A lock that is free is still to be had. */
static int wait_interrupted(const char *path, gboolean exclusive)
{
    g_autofree char *free_one = g_strconcat(path, ".free", NULL);
    g_autoptr(GError) error = NULL;
    GThread *raiser = g_thread_new("raiser", interrupt_soon, (gpointer) "the time limit");
    gint64 start = g_get_monotonic_time();
    IngotLock *lock = ingot_lock_take(path, exclusive, TRUE, &error);
    gint64 took = g_get_monotonic_time() - start;
    g_thread_join(raiser);
    if (lock != NULL || !g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED))
        return 10;
    if (!g_str_equal(error->message, "the time limit"))
        return 11;
    if (took < 250000 || took > 1300000)
        return 12;
    g_autoptr(IngotLock) other = ingot_lock_take(free_one, exclusive, TRUE, NULL);
    return other != NULL ? 0 : 13;
}

static void test_lock_interrupted(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "lock");
    g_autoptr(IngotLock) held = ingot_lock_take(path, TRUE, FALSE, NULL);
    assert_non_null(held);
    for (int exclusive = 0; exclusive <= 1; exclusive++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            alarm(30); /* so that a failure is no hang */
            _exit(wait_interrupted(path, exclusive));
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
}

static char *noted;

static void take_note(const char *note)
{
    assert_null(noted); /* once a wait */
    noted = g_strdup(note);
}

/* Holds the lock for so long, in another process. */
static pid_t hold_for(const char *path, useconds_t microseconds)
{
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        IngotLock *lock = ingot_lock_take(path, TRUE, FALSE, NULL);
        _exit(lock == NULL || write(ready[1], "x", 1) != 1 || usleep(microseconds) != 0);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return child;
}

static void test_lock_note(void **state)
{
    static const struct {
        useconds_t held;
        gboolean said;
    } cases[] = {{100000, FALSE}, {2500000, TRUE}};
    g_autofree char *path = ingot_workdir_file(*state, "lock");
    ingot_lock_set_note(take_note);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        pid_t child = hold_for(path, cases[i].held);
        g_autoptr(IngotLock) lock = ingot_lock_take(path, TRUE, TRUE, NULL);
        int status;
        assert_non_null(lock);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_int_equal(noted != NULL, cases[i].said);
        if (cases[i].said) {
            g_autofree char *process = g_strdup_printf("(process %d), which holds ", (int)child);
            assert_true(g_str_has_prefix(noted, "waiting for test-file "));
            assert_non_null(strstr(noted, process));
            assert_true(g_str_has_suffix(noted, path));
        }
        g_clear_pointer(&noted, g_free);
    }
    ingot_lock_set_note(NULL);
}

static gpointer raise_soon(gpointer data)
{
    (void)data;
    g_usleep(200000);
    ingot_interrupt_raise("the time limit");
    return NULL;
}

/* Nobody writes into the pipe; a signal may come, or the end in other words. */
static int read_interrupted(const char *path, gboolean by_signal)
{
    g_autoptr(GError) error = NULL;
    ingot_interrupt_install();
    GThread *raiser = by_signal ? NULL : g_thread_new("raiser", raise_soon, NULL);
    pid_t child = by_signal ? fork() : -1;
    if (child == 0) {
        g_usleep(200000);
        kill(getppid(), SIGTERM);
        _exit(0);
    }
    g_autoptr(GBytes) bytes = ingot_file_read(path, 100, &error);
    if (raiser != NULL)
        g_thread_join(raiser);
    return bytes == NULL && g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED) ? 0 : 10;
}

static int digest_interrupted(const char *path)
{
    g_autoptr(GError) error = NULL;
    IngotDigest digest;
    ingot_interrupt_install();
    pid_t child = fork();
    if (child == 0) {
        g_usleep(200000);
        kill(getppid(), SIGTERM);
        _exit(0);
    }
    gboolean done = ingot_digest_of_file(path, &digest, NULL, &error); /* opens it as files are opened */
    return !done && g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED) ? 0 : 10;
}

static void test_pipe_interrupted(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "pipe");
    assert_int_equal(mkfifo(path, 0600), 0);
    for (int way = 0; way < 3; way++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            alarm(30); /* so that a failure is no hang */
            _exit(way == 2 ? digest_interrupted(path) : read_interrupted(path, way == 1));
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
}

/* One who writes late and in pieces is waited for. */
static void test_read_pipe(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "pipe");
    assert_int_equal(mkfifo(path, 0600), 0);
    pid_t child = fork();
    if (child == 0) {
        g_usleep(100000);
        int fd = open(path, O_WRONLY);
        gboolean ok = write(fd, "one", 3) == 3;
        g_usleep(100000);
        _exit(ok && write(fd, "two", 3) == 3 ? 0 : 1);
    }
    assert_content(path, "onetwo");
    assert_int_equal(waitpid(child, NULL, 0), child);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lock_note, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replace, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replace_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replace_nowhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_read_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_positions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_remove_tree, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lock, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lock_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lock_interrupted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pipe_interrupted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_read_pipe, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
