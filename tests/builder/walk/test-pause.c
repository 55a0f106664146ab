/* What a person is asked after a failure, at a terminal: a retry is offered where there is something to try again, and
 * nothing is kept of a machine that a person was let into. */
#include "../cache/sample.h"

#include <pty.h>

#include "../machine/fake.h"
#include "base/terminal.h"
#include "walk/inside.h"
#include "walk/pause.h"

/* Lines that are typed at the terminal, until terminal_close. */
typedef struct {
    int terminal, kept;
} Terminal;

static Terminal terminal_open(const char *typed)
{
    Terminal opened = {.kept = dup(STDIN_FILENO)};
    int ours;
    assert_int_equal(openpty(&opened.terminal, &ours, NULL, NULL, NULL), 0);
    assert_int_equal(dup2(ours, STDIN_FILENO), STDIN_FILENO);
    close(ours);
    assert_int_equal(write(opened.terminal, typed, strlen(typed)), strlen(typed));
    return opened;
}

static void terminal_close(const Terminal *opened)
{
    assert_int_equal(dup2(opened->kept, STDIN_FILENO), STDIN_FILENO);
    close(opened->kept);
    close(opened->terminal);
}

/* The answer to a failure, with lines that are typed at the terminal. */
static gboolean answer(OnError mode, gboolean can_retry, const char *typed)
{
    g_autoptr(Machine) machine = fake_start("{}", FALSE);
    g_autoptr(GError) failure = g_error_new_literal(INGOT_ERROR, INGOT_ERROR_FAILED, "it failed");
    g_autoptr(IngotProgress) progress = terminal_progress_new(TRUE);
    Terminal opened = terminal_open(typed);
    const Pause pause = {.machine = machine, .recipe = "web.yaml", .progress = progress};
    gboolean again = pause_after_error(&pause, mode, can_retry, failure);
    terminal_close(&opened);
    return again;
}

static void a_retry_is_for_what_can_be_tried_again(void **state)
{
    (void)state;
    assert_true(answer(ON_ERROR_ASK, TRUE, "r\n"));
    assert_true(answer(ON_ERROR_ASK, TRUE, "\nr\n"));
    assert_false(answer(ON_ERROR_ASK, TRUE, "a\nr\n"));
    /* Asked again: the second answer counts. */
    assert_false(answer(ON_ERROR_ASK, FALSE, "r\na\n"));
    assert_false(answer(ON_ERROR_ABORT, TRUE, "r\n"));
}

/* What is said of the machine where ssh, a script in its place, ends so. */
static char *shown(int status)
{
    static GuestKey key = {.private_path = (char *)"/tmp/id"};
    g_autofree char *program = ingot_workdir_file(fake_workdir, "ssh"), *log = ingot_workdir_file(fake_workdir, "log");
    g_autofree char *text = g_strdup_printf("#!/bin/sh\necho 'Permission denied' >&2\nexit %d\n", status);
    char *said = NULL;
    assert_true(g_file_set_contents_full(program, text, -1, G_FILE_SET_CONTENTS_NONE, 0755, NULL));
    g_autoptr(Machine) machine = fake_start("{}", FALSE);
    g_autoptr(IngotProgress) progress = terminal_progress_new(TRUE);
    assert_true(terminal_progress_log(progress, log, NULL));
    const Pause pause = {.machine = machine, .key = &key, .recipe = "web.yaml", .progress = progress};
    pause_show(&pause);
    assert_true(g_file_get_contents(log, &said, NULL, NULL));
    return said;
}

static void an_ssh_line_is_for_where_it_works(void **state)
{
    (void)state;
    g_autofree char *open = shown(0), *closed = shown(255);
    assert_non_null(strstr(open, "root@127.0.0.1"));
    assert_null(strstr(open, "ingot shell"));
    assert_null(strstr(closed, "root@127.0.0.1"));
    assert_non_null(strstr(closed, "Permission denied)"));
    assert_non_null(strstr(closed, "ingot shell web.yaml -- COMMAND"));
}

/* A step that fails: its script has gone. */
static void fail_step(Sample *sample, WalkOptions options, const char *typed, Walk *walk)
{
    static const GuestKey key = {.private_path = (char *)"/key", .public_line = (char *)"ssh-ed25519 AAAA"};
    sample_write(sample, "script", "true");
    g_autoptr(Plan) plan = sample_plan(sample, "[{script: script}]");
    g_autofree char *script = sample_path(sample, "script"), *log = sample_path(sample, "log");
    assert_int_equal(g_remove(script), 0);
    g_autoptr(IngotProgress) progress = terminal_progress_new(TRUE);
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(NULL);
    g_autoptr(Machine) machine = fake_start("{}", FALSE);
    g_autoptr(GError) error = NULL;
    assert_true(terminal_progress_log(progress, log, NULL));
    BuildHost host = {.cache = sample->cache, .accel = MACHINE_TCG, .progress = progress};
    *walk = (Walk){.in = {.host = &host,
                          .options = &options,
                          .recipe = g_ptr_array_index(sample->recipes, sample->recipes->len - 1),
                          .key = &key,
                          .workdir = workdir},
                   .keeping = TRUE,
                   .machine = machine};
    Terminal opened = terminal_open(typed);
    assert_false(walk_run_step(walk, plan_stage(plan, 1), &error));
    terminal_close(&opened);
    assert_true(walk->machine == machine);
}

static void nothing_is_kept_once_a_person_was_let_in(void **state)
{
    static const struct {
        WalkOptions options;
        const char *typed;
        gboolean let_in;
    } cases[] = {
        {{.on_error = ON_ERROR_ABORT}, "", FALSE},
        {{.on_error = ON_ERROR_ASK}, "a\n", FALSE},
        {{.on_error = ON_ERROR_ASK}, "r\na\n", TRUE},
        {{.debug = TRUE}, "\n", TRUE},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        Walk walk;
        fail_step(*state, cases[i].options, cases[i].typed, &walk);
        assert_int_equal(walk.let_in, cases[i].let_in);
        assert_int_equal(walk_let_in(&walk), cases[i].let_in);
        assert_int_equal(walk.keeping, !cases[i].let_in);
        g_autofree char *log = sample_path(*state, "log"), *said = NULL;
        assert_true(g_file_get_contents(log, &said, NULL, NULL));
        assert_int_equal(strstr(said, "nothing more is kept for later builds") != NULL, cases[i].let_in);
        assert_int_equal(g_remove(log), 0);
    }
}

/* Its environment is in the memory of the machine. */
static void a_login_of_a_proxy_is_a_secret(void **state)
{
    static const char *const proxies[] = {"http://proxy.example:3128", "http://me:password@proxy.example:3128"};
    for (guint i = 0; i < G_N_ELEMENTS(proxies); i++) {
        Walk walk;
        g_setenv("http_proxy", proxies[i], TRUE);
        fail_step(*state, (WalkOptions){.on_error = ON_ERROR_ABORT}, "", &walk);
        g_unsetenv("http_proxy");
        assert_int_equal(walk.secret, i == 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_retry_is_for_what_can_be_tried_again),
        cmocka_unit_test(an_ssh_line_is_for_where_it_works),
        SAMPLE_TEST(nothing_is_kept_once_a_person_was_let_in),
        SAMPLE_TEST(a_login_of_a_proxy_is_a_secret),
    };
    return cmocka_run_group_tests(tests, fake_set_up, fake_tear_down);
}
