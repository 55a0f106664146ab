/* A follower's command: its end is marked, and SIGTERM ends all of it before anybody else may have the turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "cli/follow/deploy.h"

#define LONG_ENOUGH 60000
#define SHORT 200

typedef struct {
    IngotWorkdir *workdir;
    char *begun, *ended, *marker, *turn;
    GCancellable *cancel;
} Case;

static int set_up(void **state)
{
    Case *its = g_new0(Case, 1);
    its->workdir = ingot_workdir_new(NULL);
    its->begun = ingot_workdir_file(its->workdir, "begun");
    its->ended = ingot_workdir_file(its->workdir, "ended");
    its->marker = ingot_workdir_file(its->workdir, "done");
    its->turn = ingot_workdir_file(its->workdir, "running");
    its->cancel = g_cancellable_new();
    g_setenv("BEGUN", its->begun, TRUE);
    g_setenv("ENDED", its->ended, TRUE);
    g_cancellable_push_current(its->cancel);
    *state = its;
    return 0;
}

static int tear_down(void **state)
{
    Case *its = *state;
    g_cancellable_pop_current(its->cancel);
    g_object_unref(its->cancel);
    ingot_workdir_free(its->workdir);
    g_free(its->begun);
    g_free(its->ended);
    g_free(its->marker);
    g_free(its->turn);
    g_free(its);
    return 0;
}

static void count_start(gpointer user)
{
    ++*(guint *)user;
}

/* As the follower does: the turn is free once it is over. */
static gboolean deploy(const Case *its, const char *command, int grace, int *status, GError **error)
{
    guint started = 0;
    int turn = open(its->turn, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(flock(turn, LOCK_EX), 0);
    const Deployment deployment = {.command = command,
                                   .reference = "here/web:prod@sha256:12",
                                   .digest = "sha256:12",
                                   .version = "1.0.0",
                                   .disk = "/disk.raw",
                                   .marker = its->marker,
                                   .turn = turn,
                                   .grace = grace,
                                   .started = count_start,
                                   .user = &started};
    gboolean ok = deploy_run(&deployment, status, error);
    close(turn);
    assert_int_equal(started, 1);
    turn = open(its->turn, O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(turn, LOCK_EX | LOCK_NB), 0);
    close(turn);
    return ok;
}

static gpointer cancel_once_begun(gpointer user)
{
    const Case *its = user;
    while (!g_file_test(its->begun, G_FILE_TEST_EXISTS)) {
        g_usleep(G_USEC_PER_SEC / 100);
    }
    g_cancellable_cancel(its->cancel);
    return NULL;
}

/* Interrupts the command as soon as it has made the file. */
static void interrupt(Case *its, const char *command, int grace)
{
    int status;
    g_autoptr(GError) error = NULL;
    GThread *thread = g_thread_new("cancel", cancel_once_begun, its);
    assert_false(deploy(its, command, grace, &status, &error));
    g_thread_join(thread);
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED));
}

static gboolean is_marked(const Case *its)
{
    g_autofree char *text = NULL;
    return g_file_get_contents(its->marker, &text, NULL, NULL) && strcmp(text, "sha256:12") == 0;
}

static void what_ends_well_is_marked(void **state)
{
    const Case *its = *state;
    int status;
    assert_true(deploy(its,
                       "[ \"$INGOT_REF $INGOT_DIGEST $INGOT_VERSION $INGOT_DISK\" = "
                       "'here/web:prod@sha256:12 sha256:12 1.0.0 /disk.raw' ]",
                       LONG_ENOUGH, &status, NULL));
    assert_int_equal(status, 0);
    assert_true(is_marked(its));
}

static void what_fails_is_not(void **state)
{
    const Case *its = *state;
    int status;
    assert_true(deploy(its, "exit 7", LONG_ENOUGH, &status, NULL));
    assert_int_equal(status, 7);
    assert_true(deploy(its, "kill -TERM $$", LONG_ENOUGH, &status, NULL));
    assert_int_equal(status, 128 + SIGTERM);
    assert_false(is_marked(its));
}

static void a_command_that_goes_on_is_waited_for(void **state)
{
    Case *its = *state;
    interrupt(its, "trap '' TERM; : >\"$BEGUN\"; sleep 1; : >\"$ENDED\"", LONG_ENOUGH);
    assert_true(g_file_test(its->ended, G_FILE_TEST_EXISTS));
    assert_true(is_marked(its)); /* it has ended well all the same */
}

static void so_is_what_a_command_that_ends_has_started(void **state)
{
    Case *its = *state;
    interrupt(its, "sh -c \"trap '' TERM; : >'$BEGUN'; sleep 1; : >'$ENDED'\"; true", LONG_ENOUGH);
    assert_true(g_file_test(its->ended, G_FILE_TEST_EXISTS));
    assert_false(is_marked(its));
}

static void what_does_not_end_is_killed(void **state)
{
    Case *its = *state;
    g_autofree char *text = NULL;
    interrupt(its, "sh -c \"trap '' TERM; echo \\$\\$ >'$ENDED'; : >'$BEGUN'; while :; do sleep 0.1; done\"; true",
              SHORT);
    assert_true(g_file_get_contents(its->ended, &text, NULL, NULL));
    assert_int_equal(kill((pid_t)g_ascii_strtoll(text, NULL, 10), 0), -1);
    assert_int_equal(errno, ESRCH);
    assert_false(is_marked(its));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_ends_well_is_marked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_fails_is_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_command_that_goes_on_is_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(so_is_what_a_command_that_ends_has_started, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_end_is_killed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
