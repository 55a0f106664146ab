/* An appliance that hangs ends with the build: its QEMU is tests/builder/appliance/fake-appliance.py. */
#include "appliance/watch.h"

#include <ingot/error.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "appliance/appliance.h"
#include "base/file.h"
#include "base/process.h"
#include "machine/board.h"

#define WAIT_MS 60000 /* for a fake to be there: it is libguestfs that starts it */
#define SHORT_MS 100
#define TOO_LONG_SECONDS 90

typedef struct {
    IngotWorkdir *workdir;
    char *disk, *log;
} Fixture;

static char *make_file(const Fixture *fixture, const char *name, goffset size)
{
    char *path = ingot_workdir_file(fixture->workdir, name);
    assert_true(g_file_set_contents(path, "", 0, NULL));
    assert_int_equal(truncate(path, size), 0);
    return path;
}

/* What stands for the appliance's own disk, kernel and initrd lies in the work folder, so that none is made. */
static int set_up(void **state)
{
    static const char *const parts[] = {"README.fixed", "initrd", "kernel"};
    Fixture *fixture = *state = g_new0(Fixture, 1);
    g_autofree char *fake = realpath("tests/builder/appliance/fake-appliance.py", NULL);
    fixture->workdir = ingot_workdir_new(NULL);
    fixture->disk = make_file(fixture, "disk.raw", 1 << 20);
    fixture->log = ingot_workdir_file(fixture->workdir, "log");
    g_autofree char *root = make_file(fixture, "root", 1 << 20);
    const char *const argv[] = {"mke2fs", "-q", "-t", "ext4", root, NULL}; /* its UUID is looked at */
    assert_true(ingot_process_run(argv, NULL, NULL, NULL));
    for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
        g_free(make_file(fixture, parts[i], 1 << 20));
    }
    g_setenv("LIBGUESTFS_BACKEND", "direct", TRUE);
    g_setenv("LIBGUESTFS_HV", fake, TRUE);
    g_setenv("LIBGUESTFS_PATH", ingot_workdir_path(fixture->workdir), TRUE);
    g_setenv("FAKE_APPLIANCE_LOG", fixture->log, TRUE);
    return 0;
}

static int tear_down(void **state)
{
    Fixture *fixture = *state;
    ingot_workdir_free(fixture->workdir);
    g_free(fixture->disk);
    g_free(fixture->log);
    g_free(fixture);
    return 0;
}

/* Waits until the fake hangs; 0 where it does not come to that. */
static pid_t fake_process(const Fixture *fixture)
{
    for (guint waited = 0; waited < WAIT_MS; waited += SHORT_MS) {
        g_autofree char *text = NULL;
        if (g_file_get_contents(fixture->log, &text, NULL, NULL)) {
            return (pid_t)g_ascii_strtoll(text, NULL, 10);
        }
        g_usleep(SHORT_MS * G_TIME_SPAN_MILLISECOND);
    }
    return 0;
}

static gpointer interrupt_when_it_hangs(gpointer user)
{
    pid_t pid = fake_process(user);
    ingot_interrupt_raise("took longer than --timeout 5m");
    return GINT_TO_POINTER(pid);
}

/* The flag stays, so that each interruption has a process of its own. Its exit status is the line that was wrong. */
static int interrupted(Fixture *fixture, const char *where)
{
    ApplianceOptions options = {.disk = fixture->disk, .format = "raw", .cache = ingot_workdir_path(fixture->workdir)};
    g_autoptr(GError) error = NULL;
    g_autofree char *root = NULL;
    alarm(TOO_LONG_SECONDS);
    g_setenv("FAKE_APPLIANCE", where, TRUE);
    ingot_interrupt_install();
    GThread *thread = g_thread_new("interrupt", interrupt_when_it_hangs, fixture);
    g_autoptr(guestfs_h) g = appliance_open(&options, &root, &error);
    pid_t pid = GPOINTER_TO_INT(g_thread_join(thread));
    if (g != NULL || !g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED) ||
        g_strcmp0(error->message, "took longer than --timeout 5m") != 0) {
        g_printerr("%s\n", error == NULL ? "no error" : error->message);
        return 1;
    }
    return pid == 0 || kill(pid, 0) == 0 ? 2 : 0;
}

static void check_interrupted(Fixture *fixture, const char *where)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(interrupted(fixture, where));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void a_launch_that_hangs_is_ended(void **state)
{
    check_interrupted(*state, "launch");
}

static void a_call_that_hangs_is_ended(void **state)
{
    check_interrupted(*state, "call");
}

static void processor_of_the_appliance(Fixture *fixture, const char *settings, gboolean emulated)
{
    g_autofree char *text = NULL;
    g_setenv("LIBGUESTFS_BACKEND_SETTINGS", settings, TRUE);
    check_interrupted(fixture, "launch");
    assert_true(g_file_get_contents(fixture->log, &text, NULL, NULL));
    assert_true(g_str_has_suffix(text, " " BOARD_EMULATED) == emulated);
}

static void an_emulated_appliance_has_the_processor_of_emulated_machines(void **state)
{
    processor_of_the_appliance(*state, "force_tcg", TRUE);
}

static void another_appliance_has_the_processor_that_libguestfs_gives_it(void **state)
{
    processor_of_the_appliance(*state, "", FALSE);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_launch_that_hangs_is_ended),
        TEST(a_call_that_hangs_is_ended),
        TEST(an_emulated_appliance_has_the_processor_of_emulated_machines),
        TEST(another_appliance_has_the_processor_that_libguestfs_gives_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
