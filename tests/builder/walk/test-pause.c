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
    gboolean again = pause_after_error(mode, can_retry, failure, machine, NULL, progress);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_retry_is_for_what_can_be_tried_again),
    };
    return cmocka_run_group_tests(tests, fake_set_up, fake_tear_down);
}
