/* A follower's command: its end is marked, and SIGTERM ends all of it before anybody else may have the turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
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
    char *begun, *ended, *told, *note, *marker, *turn;
    GCancellable *cancel;
    guint started;
} Case;

static int set_up(void **state)
{
    Case *its = g_new0(Case, 1);
    its->workdir = ingot_workdir_new(NULL);
    its->begun = ingot_workdir_file(its->workdir, "begun");
    its->ended = ingot_workdir_file(its->workdir, "ended");
    its->told = ingot_workdir_file(its->workdir, "told");
    its->note = ingot_workdir_file(its->workdir, "note");
    its->marker = ingot_workdir_file(its->workdir, "done");
    its->turn = ingot_workdir_file(its->workdir, "running");
    its->cancel = g_cancellable_new();
    g_setenv("BEGUN", its->begun, TRUE);
    g_setenv("ENDED", its->ended, TRUE);
    g_setenv("TOLD", its->told, TRUE);
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
    g_free(its->told);
    g_free(its->note);
    g_free(its->marker);
    g_free(its->turn);
    g_free(its);
    return 0;
}

static void count_start(gpointer user)
{
    ((Case *)user)->started++;
}

/* A command that waits for it goes on. */
static void note_told(gpointer user)
{
    const Case *its = user;
    assert_true(g_file_set_contents(its->told, "", 0, NULL));
}

/* As the follower does: the turn is free once it is over. */
static gboolean deploy(Case *its, const char *command, int grace, int *status, GError **error)
{
    its->started = 0;
    int turn = open(its->turn, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(flock(turn, LOCK_EX), 0);
    assert_true(g_file_set_contents(its->note, "begun", -1, NULL));
    const Deployment deployment = {.command = command,
                                   .reference = "here/web:prod@sha256:12",
                                   .digest = "sha256:12",
                                   .version = "1.0.0",
                                   .disks = (char *[]){"/a b/0.raw", "/a b/1.raw", NULL},
                                   .note = its->note,
                                   .marker = its->marker,
                                   .turn = turn,
                                   .grace = grace,
                                   .every = SHORT,
                                   .started = count_start,
                                   .runs = note_told,
                                   .user = its};
    gboolean ok = deploy_run(&deployment, status, error);
    close(turn);
    assert_int_equal(its->started, 1);
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

/* What has begun is noted for as long as it is not marked. */
static gboolean is_marked(const Case *its)
{
    g_autofree char *text = NULL, *note = NULL;
    gboolean marked = g_file_get_contents(its->marker, &text, NULL, NULL) && strcmp(text, "sha256:12") == 0;
    assert_int_equal(g_file_get_contents(its->note, &note, NULL, NULL), !marked);
    assert_true(marked || strcmp(note, "begun") == 0);
    return marked;
}

static void what_ends_well_is_marked(void **state)
{
    Case *its = *state;
    int status;
    assert_true(deploy(its,
                       "[ \"$INGOT_REF $INGOT_DIGEST $INGOT_VERSION $INGOT_DISK\" = "
                       "'here/web:prod@sha256:12 sha256:12 1.0.0 /a b/0.raw' ] && "
                       "printf '%s\\n' \"$INGOT_DISKS\" | { read -r a && read -r b && ! read -r c && "
                       "[ \"$a,$b\" = '/a b/0.raw,/a b/1.raw' ]; }",
                       LONG_ENOUGH, &status, NULL));
    assert_int_equal(status, 0);
    assert_true(is_marked(its));
}

/* A program of that name, which is found before the system's. */
static void put_program(const Case *its, const char *name, const char *script)
{
    g_autofree char *folder = ingot_workdir_file(its->workdir, "bin"), *path = g_build_filename(folder, name, NULL),
                    *search = g_strconcat(folder, ":", g_getenv("PATH"), NULL);
    g_mkdir(folder, 0700);
    assert_true(g_file_set_contents_full(path, script, -1, G_FILE_SET_CONTENTS_NONE, 0700, NULL));
    g_setenv("PATH", search, TRUE);
}

/* The bytes before the names, and the names before it is reported. */
static void the_mark_lasts(void **state)
{
    Case *its = *state;
    int status;
    g_autofree char *text = NULL, *path = g_strdup(g_getenv("PATH")),
                    *expected = g_strdup_printf("%s.new marked: no\n%s marked: yes\n", its->marker,
                                                ingot_workdir_path(its->workdir));
    g_setenv("MARKER", its->marker, TRUE);
    put_program(its, "sync",
                "#!/bin/sh\n"
                "[ -e \"$MARKER\" ] && marked=yes || marked=no\n"
                "echo \"$1 marked: $marked\" >>\"$ENDED\"\n");
    assert_true(deploy(its, "true", LONG_ENOUGH, &status, NULL));
    g_setenv("PATH", path, TRUE);
    assert_true(g_file_get_contents(its->ended, &text, NULL, NULL));
    assert_string_equal(text, expected);
}

static void what_runs_for_long_is_told_again(void **state)
{
    Case *its = *state;
    int status;
    assert_true(deploy(its, "until [ -e \"$TOLD\" ]; do sleep 0.05; done", LONG_ENOUGH, &status, NULL));
    assert_true(is_marked(its));
}

static void what_fails_is_not(void **state)
{
    Case *its = *state;
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
        cmocka_unit_test_setup_teardown(the_mark_lasts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_runs_for_long_is_told_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_fails_is_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_command_that_goes_on_is_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(so_is_what_a_command_that_ends_has_started, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_end_is_killed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
