/* What a person is asked after a failure, at a terminal: a retry is offered where there is something to try again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ingot/error.h>
#include <pty.h>

#include "../machine/fake.h"
#include "walk/pause.h"

/* The answer to a failure, with lines that are typed at the terminal. */
static gboolean answer(OnError mode, gboolean can_retry, const char *typed)
{
    g_autoptr(Machine) machine = fake_start("{}", FALSE);
    g_autoptr(GError) failure = g_error_new_literal(INGOT_ERROR, INGOT_ERROR_FAILED, "it failed");
    g_autoptr(IngotProgress) progress = ingot_progress_new(TRUE);
    int terminal, ours, kept = dup(STDIN_FILENO);
    assert_int_equal(openpty(&terminal, &ours, NULL, NULL, NULL), 0);
    assert_int_equal(dup2(ours, STDIN_FILENO), STDIN_FILENO);
    close(ours);
    assert_int_equal(write(terminal, typed, strlen(typed)), strlen(typed));
    const Pause pause = {.machine = machine, .recipe = "web.yaml", .progress = progress};
    gboolean again = pause_after_error(&pause, mode, can_retry, failure);
    assert_int_equal(dup2(kept, STDIN_FILENO), STDIN_FILENO);
    close(kept);
    close(terminal);
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
    g_autoptr(IngotProgress) progress = ingot_progress_new(TRUE);
    assert_true(ingot_progress_log(progress, log, NULL));
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
    assert_non_null(strstr(closed, "Permission denied"));
    assert_non_null(strstr(closed, "ingot shell web.yaml -- COMMAND"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_retry_is_for_what_can_be_tried_again),
        cmocka_unit_test(an_ssh_line_is_for_where_it_works),
    };
    return cmocka_run_group_tests(tests, fake_set_up, fake_tear_down);
}
