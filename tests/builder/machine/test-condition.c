/* What becomes of a machine is noticed, whoever waits for it, and told in words of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ingot/error.h>

#include "fake.h"

#define SECONDS(since) ((double)(g_get_monotonic_time() - (since)) / G_USEC_PER_SEC)

static const struct {
    const char *behaviour, *words;
    IngotError code;
} ends[] = {
    {"{\"status\": \"io-error\", \"io-status\": \"nospace\"}", "No space left", INGOT_ERROR_NO_SPACE},
    {"{\"status\": \"io-error\", \"io-status\": \"failed\"}", "cannot read or write", INGOT_ERROR_FAILED},
    {"{\"status\": \"internal-error\"}", "accelerator", INGOT_ERROR_FAILED},
    {"{\"status\": \"guest-panicked\", \"print\": \"\\u001b[31mKernel panic\\r\\n\"}", "kernel has panicked",
     INGOT_ERROR_FAILED},
    {"{\"status\": \"paused\"}", "'paused'", INGOT_ERROR_FAILED},
    {"{\"status\": \"suspended\"}", "suspended itself", INGOT_ERROR_FAILED},
};

static void a_machine_that_stands_still_is_not_alive(void **state)
{
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(ends); i++) {
        g_autoptr(Machine) machine = fake_start(ends[i].behaviour, FALSE);
        g_autoptr(GError) error = NULL;
        assert_false(machine_alive(machine, &error));
        assert_non_null(strstr(error->message, ends[i].words));
        assert_int_equal(error->code, ends[i].code);
    }
}

static void nor_is_it_waited_for(void **state)
{
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(ends); i++) {
        g_autofree char *deaf = g_strconcat("{\"ignore\": true, ", ends[i].behaviour + 1, NULL);
        g_autoptr(Machine) machine = fake_start(deaf, FALSE);
        g_autoptr(GError) error = NULL;
        gint64 began = g_get_monotonic_time();
        gboolean ended;
        assert_true(machine_press_power(machine, NULL));
        assert_false(machine_wait(machine, 60, &ended, &error));
        assert_true(SECONDS(began) < 30);
        assert_non_null(strstr(error->message, ends[i].words));
        g_clear_error(&error);
        assert_false(machine_wait(machine, 0, &ended, &error));
        assert_non_null(strstr(error->message, ends[i].words));
    }
}

#define RUNS "CPU#0\\r\\nRIP=ffffffff81c0 RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=0\\r\\nES =0000\\r\\n"
#define IDLE "RIP=ffffffff81c1 RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1\\r\\n"
#define HALT "RIP=ffffffff81c2 RFL=00000046 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1\\r\\n"
#define OLD_HALT "EIP=0000fff0 EFL=00000006 [-----P-] CPL=0 II=0 A20=1 SMM=0 HLT=1\\r\\n"

/* Whether such a machine is alive when it has been looked at three times. */
static gboolean alive_thrice(const char *registers)
{
    g_autofree char *behaviour = g_strdup_printf("{\"registers\": [%s]}", registers);
    g_autoptr(Machine) machine = fake_start(behaviour, FALSE);
    g_autoptr(GError) error = NULL;
    gboolean alive = TRUE;
    for (guint i = 0; alive && i < 3; i++) {
        machine->looked = 0; /* as if a second had passed */
        alive = machine_alive(machine, &error);
        assert_true(alive || i > 0);
    }
    assert_true(alive != machine_has_halted(machine));
    assert_true(alive || strstr(error->message, "halted") != NULL);
    return alive;
}

/* QEMU says of it that it runs. */
static void a_machine_that_has_halted_is_not_alive(void **state)
{
    (void)state;
    assert_false(alive_thrice("\"" HALT "\""));
    assert_false(alive_thrice("\"" RUNS IDLE "\", \"" HALT OLD_HALT "\""));
    assert_true(alive_thrice("\"" IDLE "\""));
    assert_true(alive_thrice("\"" HALT IDLE "\""));
    assert_true(alive_thrice("\"" RUNS HALT "\""));
    assert_true(alive_thrice("\"" HALT "\", \"" RUNS "\", \"" HALT "\"")); /* for a moment each */
    assert_true(alive_thrice("\"\""));
    assert_true(alive_thrice("\"no registers\""));
}

static void what_we_stopped_is_alive(void **state)
{
    (void)state;
    g_autoptr(Machine) waits = fake_start("{\"status\": \"inmigrate\"}", TRUE);
    assert_true(machine_alive(waits, NULL));
    g_clear_pointer(&waits, machine_free);
    g_autoptr(Machine) machine = fake_start("{\"status\": \"paused\"}", FALSE);
    assert_false(machine_alive(machine, NULL));
    assert_true(machine_stop(machine, NULL));
    assert_true(machine_alive(machine, NULL));
    assert_true(machine_continue(machine, NULL));
    assert_false(machine_alive(machine, NULL));
}

static void an_end_has_qemu_s_reason(void **state)
{
    (void)state;
    g_autoptr(Machine) machine = fake_start("{\"die\": [\"query-status\"], \"print\": \"last words\\r\\n\"}", FALSE);
    g_autoptr(GError) error = NULL;
    assert_false(machine_alive(machine, &error));
    assert_non_null(strstr(error->message, "out of luck"));
    assert_non_null(strstr(error->message, "last words"));
    assert_null(strchr(error->message, '\033'));
    g_clear_error(&error);
    assert_false(machine_alive(machine, &error)); /* and again */
    assert_non_null(strstr(error->message, "out of luck"));
}

static void a_killed_qemu_is_no_end_of_the_guest_s(void **state)
{
    (void)state;
    g_autoptr(Machine) machine = fake_start("{}", FALSE);
    g_subprocess_send_signal(machine->qemu, 9);
    g_autoptr(GError) error = NULL;
    gboolean ended;
    assert_false(machine_wait(machine, 0, &ended, &error));
    assert_non_null(strstr(error->message, "signal 9"));
}

static void a_crash_while_it_ends_is_told(void **state)
{
    (void)state;
    g_autoptr(Machine) machine = fake_start("{\"exit\": 3}", FALSE);
    assert_false(machine_quit(machine, NULL));
}

static void the_power_key_may_be_ignored(void **state)
{
    (void)state;
    g_autoptr(Machine) deaf = fake_start("{\"ignore\": true}", FALSE);
    gboolean ended = TRUE;
    assert_true(machine_press_power(deaf, NULL));
    assert_true(machine_wait(deaf, 1, &ended, NULL));
    assert_false(ended);
    assert_true(machine_alive(deaf, NULL)); /* the caller may try another way */
    assert_true(machine_quit(deaf, NULL));
    g_autoptr(Machine) machine = fake_start("{}", FALSE);
    assert_true(machine_press_power(machine, NULL) && machine_wait(machine, 60, &ended, NULL));
    assert_true(ended);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_that_stands_still_is_not_alive),
        cmocka_unit_test(nor_is_it_waited_for),
        cmocka_unit_test(a_machine_that_has_halted_is_not_alive),
        cmocka_unit_test(what_we_stopped_is_alive),
        cmocka_unit_test(an_end_has_qemu_s_reason),
        cmocka_unit_test(a_killed_qemu_is_no_end_of_the_guest_s),
        cmocka_unit_test(a_crash_while_it_ends_is_told),
        cmocka_unit_test(the_power_key_may_be_ignored),
    };
    return cmocka_run_group_tests(tests, fake_set_up, fake_tear_down);
}
