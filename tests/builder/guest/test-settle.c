/* Whether a guest goes down, now or later. The file of systemd's that says so lies beside the guest's own folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake.h"

static Fake systemd_fake(void)
{
    Fake fake = fake_new();
    g_autofree char *system = ingot_workdir_file(fake.workdir, "systemd/system");
    g_autofree char *shutdown = ingot_workdir_file(fake.workdir, "systemd/shutdown");
    assert_true(ingot_file_make_folder(system, NULL) && ingot_file_make_folder(shutdown, NULL));
    fake_program(&fake, "systemctl", 0);
    return fake;
}

static void schedule(const Fake *fake, gint64 seconds, const char *mode)
{
    g_autofree char *path = ingot_workdir_file(fake->workdir, "systemd/shutdown/scheduled");
    g_autofree char *text = g_strdup_printf("USEC=%" G_GINT64_FORMAT "\nWARN_WALL=1\nMODE=%s\n",
                                            g_get_real_time() + seconds * G_USEC_PER_SEC, mode);
    assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void a_scheduled_shutdown_is_seen_with_its_time(void **state)
{
    (void)state;
    static const struct {
        const char *mode;
        gint64 seconds;
        gboolean stopping;
        guint64 least, most;
    } cases[] = {
        {"reboot", 3000, TRUE, 2900, 3000},
        {"poweroff", 60, TRUE, 30, 60},
        {"reboot", -5, TRUE, 1, 1},
        {"dry-reboot", 60, FALSE, 0, 0}, /* only announced */
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Fake) fake = systemd_fake();
        gboolean stopping = TRUE;
        guint64 due = 1;
        g_autoptr(GError) error = NULL;
        assert_true(guest_is_stopping(fake.guest, &stopping, &due, &error));
        assert_false(stopping);
        assert_int_equal(due, 0);
        schedule(&fake, cases[i].seconds, cases[i].mode);
        assert_true(guest_is_stopping(fake.guest, &stopping, &due, &error));
        assert_int_equal(stopping, cases[i].stopping);
        assert_in_range(due, cases[i].least, cases[i].most);
    }
}

static void a_shutdown_that_has_begun_is_due_now(void **state)
{
    (void)state;
    g_auto(Fake) fake = systemd_fake();
    g_autofree char *program = ingot_workdir_file(fake.workdir, "bin/systemctl");
    schedule(&fake, 60, "reboot");
    assert_true(g_file_set_contents_full(program, "#!/bin/sh\necho stopping\nexit 1\n", -1, G_FILE_SET_CONTENTS_NONE,
                                         0755, NULL));
    gboolean stopping = FALSE;
    guint64 due = 1;
    assert_true(guest_is_stopping(fake.guest, &stopping, &due, NULL));
    assert_true(stopping);
    assert_int_equal(due, 0);
}

static void a_guest_without_systemd_goes_on(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    gboolean stopping = TRUE;
    guint64 due = 1;
    assert_true(guest_is_stopping(fake.guest, &stopping, &due, NULL));
    assert_false(stopping);
    assert_int_equal(due, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scheduled_shutdown_is_seen_with_its_time),
        cmocka_unit_test(a_shutdown_that_has_begun_is_due_now),
        cmocka_unit_test(a_guest_without_systemd_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
