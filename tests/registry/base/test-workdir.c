/* Work folders: gone with their command, also when it was killed. Each test has a TMPDIR of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ingot/error.h>

#include "base/file.h"

/* As on a file system that gives all files one owner, which is not us: root on NFS, vfat. */
static gboolean is_mapped;

uid_t geteuid(void)
{
    return is_mapped ? 12345 : (uid_t)syscall(SYS_geteuid);
}

static guint folders_in(const char *parent)
{
    g_autoptr(GDir) folder = g_dir_open(parent, 0, NULL);
    guint count = 0;
    while (g_dir_read_name(folder))
        count++;
    return count;
}

static int set_up(void **state)
{
    char *parent = g_dir_make_tmp("test-workdir-XXXXXX", NULL);
    ingot_workdir_use(parent);
    *state = parent;
    return 0;
}

static int tear_down(void **state)
{
    gboolean removed = ingot_file_remove_tree(*state, NULL);
    ingot_workdir_use(NULL);
    g_free(*state);
    return removed ? 0 : -1;
}

static void test_life(void **state)
{
    IngotWorkdir *workdir = ingot_workdir_new(NULL);
    g_autofree char *path = g_strdup(ingot_workdir_path(workdir));
    g_autofree char *file = ingot_workdir_file(workdir, "disk.qcow2");
    struct stat status;

    assert_true(g_str_has_prefix(path, *state));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_true(ingot_file_replace(file, "x", 1, 0600, NULL));
    ingot_workdir_free(workdir);
    assert_int_not_equal(access(path, F_OK), 0);
}

/* A child makes a work folder with something in it, tells its path, and waits to be killed. */
static pid_t start_holder(char path[4096])
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        IngotWorkdir *workdir = ingot_workdir_new(NULL);
        g_autofree char *file = ingot_workdir_file(workdir, "file");
        const char *name = ingot_workdir_path(workdir);
        if (!ingot_file_replace(file, "x", 1, 0400, NULL) || write(ends[1], name, strlen(name) + 1) < 0)
            _exit(1);
        for (;;)
            pause();
    }
    close(ends[1]);
    assert_true(read(ends[0], path, 4096) > 1);
    close(ends[0]);
    return child;
}

static void test_sweep(void **state)
{
    char path[4096];
    pid_t child = start_holder(path);

    (void)state;
    ingot_workdir_free(ingot_workdir_new(NULL)); /* must leave what a living process holds */
    assert_int_equal(access(path, F_OK), 0);

    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(access(path, F_OK), 0);
    ingot_workdir_free(ingot_workdir_new(NULL));
    assert_int_not_equal(access(path, F_OK), 0);
}

static void test_own_stays(void **state)
{
    g_autoptr(IngotWorkdir) first = ingot_workdir_new(NULL);
    g_autoptr(IngotWorkdir) second = ingot_workdir_new(NULL);

    (void)state;
    assert_int_equal(access(ingot_workdir_path(first), F_OK), 0);
    assert_int_equal(access(ingot_workdir_path(second), F_OK), 0);
}

static void test_keep(void **state)
{
    IngotWorkdir *workdir = ingot_workdir_new(NULL);
    g_autofree char *path = g_strdup(ingot_workdir_path(workdir));

    (void)state;
    ingot_workdir_keep(workdir);
    ingot_workdir_free(workdir);
    ingot_workdir_free(ingot_workdir_new(NULL));
    assert_int_equal(access(path, F_OK), 0);
}

static void test_strangers_stay(void **state)
{
    g_autofree char *other = g_build_filename(*state, "ingot-recipes", NULL);
    g_autofree char *target = g_build_filename(*state, "target", NULL);
    g_autofree char *link = g_build_filename(*state, "ingot-work-link", NULL);

    assert_true(ingot_file_make_folder(other, NULL));
    assert_true(ingot_file_make_folder(target, NULL));
    assert_int_equal(symlink(target, link), 0);
    ingot_workdir_free(ingot_workdir_new(NULL));
    assert_int_equal(access(other, F_OK), 0);
    assert_int_equal(access(target, F_OK), 0);
}

static void test_no_parent(void **state)
{
    g_autofree char *missing = g_build_filename(*state, "missing", NULL);
    g_autoptr(GError) error = NULL;

    ingot_workdir_use(missing);
    assert_null(ingot_workdir_new(&error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
    assert_non_null(strstr(error->message, missing));
}

static void test_relative_parent(void **state)
{
    g_autofree char *here = g_get_current_dir();

    assert_int_equal(chdir(*state), 0);
    assert_int_equal(mkdir("-x:y", 0700), 0);
    g_setenv("TMPDIR", "-x:y", TRUE);
    IngotWorkdir *workdir = ingot_workdir_new(NULL);
    assert_int_equal(chdir(here), 0);
    assert_true(g_str_has_prefix(ingot_workdir_path(workdir), *state));
    assert_int_equal(access(ingot_workdir_path(workdir), F_OK), 0);
    ingot_workdir_free(workdir);
}

static void test_mapped_owner(void **state)
{
    is_mapped = TRUE;
    alarm(60); /* it went on for ever */
    IngotWorkdir *workdir = ingot_workdir_new(NULL);
    assert_non_null(workdir);
    assert_int_equal(folders_in(*state), 1);
    ingot_workdir_free(workdir);
    char path[4096];
    pid_t child = start_holder(path);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    ingot_workdir_free(ingot_workdir_new(NULL));
    alarm(0);
    is_mapped = FALSE;
    assert_int_equal(folders_in(*state), 0);
}

static void test_no_descriptor(void **state)
{
    g_autoptr(GError) error = NULL;
    struct rlimit before, none;
    int next = dup(STDOUT_FILENO);

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)next + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    alarm(60);
    IngotWorkdir *workdir = ingot_workdir_new(&error);
    alarm(0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    close(next);
    assert_null(workdir);
    assert_non_null(strstr(error->message, *state));
    assert_non_null(strstr(error->message, "TMPDIR"));
    assert_int_equal(folders_in(*state), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_life, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sweep, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_own_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_keep, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_strangers_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_parent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_relative_parent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_mapped_owner, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_descriptor, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
