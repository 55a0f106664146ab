/* The console: its first and last lines are there, a flood does not fill the disk, and what is shown is plain text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/stat.h>

#include "fake.h"

static void the_first_and_the_last_line_are_there(void **state)
{
    (void)state;
    g_autoptr(Machine) machine = fake_start("{\"print\": \"first\\r\\n\\r\\nlast\\r\\n\", \"die\": [\"stop\"]}", FALSE);
    assert_false(machine_stop(machine, NULL));
    g_autofree char *tail = machine_console_tail(machine, 5);
    assert_string_equal(tail, "first\n\nlast");
    g_autofree char *one = machine_console_tail(machine, 1);
    assert_string_equal(one, "last");
}

static gint64 size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_size : 0;
}

static void a_flood_is_bounded(void **state)
{
    (void)state;
    g_autoptr(Machine) machine = fake_start("{\"flood\": 50000000}", FALSE);
    g_autofree char *older = g_strconcat(machine_console(machine), ".1", NULL);
    g_autofree char *tail = NULL;
    gint64 end = g_get_monotonic_time() + 120 * G_USEC_PER_SEC;
    do {
        g_usleep(G_USEC_PER_SEC / 20);
        assert_true(size_of(machine_console(machine)) <= CONSOLE_MAX);
        assert_true(size_of(older) <= CONSOLE_MAX);
        g_free(tail);
        tail = machine_console_tail(machine, 2);
    } while (!g_str_has_suffix(tail, "\nthe last line") && g_get_monotonic_time() < end);
    assert_true(g_str_has_suffix(tail, "\nthe last line"));
    assert_true(size_of(older) > 0);
}

/* What was printed just before the log began anew is in the tail as well. */
static void a_new_log_goes_on_from_the_older(void **state)
{
    (void)state;
    g_autofree char *behaviour =
        g_strdup_printf("{\"flood\": %u, \"die\": [\"stop\"]}", CONSOLE_MAX / 100 * 100); /* one line too many */
    g_autoptr(Machine) machine = fake_start(behaviour, FALSE);
    g_autofree char *older = g_strconcat(machine_console(machine), ".1", NULL);
    gint64 end = g_get_monotonic_time() + 120 * G_USEC_PER_SEC;
    while (size_of(older) == 0 && g_get_monotonic_time() < end) {
        g_usleep(G_USEC_PER_SEC / 20);
    }
    assert_true(size_of(older) > 0);
    g_usleep(G_USEC_PER_SEC / 5);
    g_autofree char *tail = machine_console_tail(machine, 100);
    g_auto(GStrv) lines = g_strsplit(tail, "\n", -1);
    assert_int_equal(g_strv_length(lines), 100);
    assert_int_equal(strlen(lines[0]), 98);
}

/* The folder's path may be longer than a socket's. */
static void the_folder_may_be_deep(void **state)
{
    (void)state;
    g_autofree char *deep = g_strnfill(200, 'x'), *folder = ingot_workdir_file(fake_workdir, deep);
    assert_true(ingot_file_make_folder(folder, NULL));
    g_autoptr(Machine) machine = fake_start_in(folder, "{\"print\": \"here\\r\\n\", \"die\": [\"stop\"]}", FALSE);
    assert_false(machine_stop(machine, NULL));
    g_autofree char *tail = machine_console_tail(machine, 5);
    assert_string_equal(tail, "here");
    assert_true(g_str_has_prefix(machine_console(machine), folder));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_and_the_last_line_are_there),
        cmocka_unit_test(a_flood_is_bounded),
        cmocka_unit_test(a_new_log_goes_on_from_the_older),
        cmocka_unit_test(the_folder_may_be_deep),
    };
    return cmocka_run_group_tests(tests, fake_set_up, fake_tear_down);
}
