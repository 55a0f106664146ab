/* A resumed machine becomes its own: what is done to its clock, its random numbers and its keys. Programs that would
 * change this host are replaced. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/stat.h>

#include "fake.h"

#define LINE "ssh-ed25519 AAAANEW build@ingot.invalid"
static GuestKey key = {.public_line = LINE};
static gboolean stopping; /* the last answer */

static Fake adopted_fake(void)
{
    Fake fake = fake_new();
    static const char *const programs[] = {"date", "perl", "python3", "systemctl"};
    for (guint i = 0; i < G_N_ELEMENTS(programs); i++) {
        fake_program(&fake, programs[i], 0);
    }
    return fake;
}

static char *read_file(const Fake *fake, const char *name)
{
    g_autofree char *path = g_build_filename(fake->place, name, NULL);
    char *text = NULL;
    g_file_get_contents(path, &text, NULL, NULL);
    return text;
}

static void only_the_builds_line_is_replaced(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after;
    } cases[] = {
        {"ssh-ed25519 AAAAOLD build@ingot.invalid\n", LINE "\n"},
        {"ssh-ed25519 AAAAOLD build@ingot.invalid", LINE "\n"},
        {"ssh-ed25519 AAAAME me\nssh-ed25519 AAAAOLD build@ingot.invalid\n", "ssh-ed25519 AAAAME me\n" LINE "\n"},
        {"ssh-ed25519 AAAAOLD build@ingot.invalid\nssh-ed25519 AAAAME me", LINE "\nssh-ed25519 AAAAME me\n"},
        {"command=\"echo a\\tb \\\\n\\c\" ssh-rsa AAAA me\n  -n\nssh-rsa A build@ingot.invalid\n",
         "command=\"echo a\\tb \\\\n\\c\" ssh-rsa AAAA me\n  -n\n" LINE "\n"},
        {"ssh-rsa A build@ingot.invalid team\n# keys of build@ingot.invaliders",
         "ssh-rsa A build@ingot.invalid team\n# keys of build@ingot.invaliders"},
        {"no newline", "no newline"},
        {"", ""},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Fake) fake = adopted_fake();
        g_autofree char *folder = g_build_filename(fake.place, ".ssh", NULL);
        g_autofree char *path = g_build_filename(folder, "authorized_keys", NULL);
        assert_int_equal(g_mkdir(folder, 0700), 0);
        assert_true(g_file_set_contents(path, cases[i].before, -1, NULL));
        g_autoptr(GError) error = NULL;
        assert_true(guest_adopt(fake.guest, &key, 0, &stopping, &error));
        g_autofree char *after = read_file(&fake, ".ssh/authorized_keys");
        assert_string_equal(after, cases[i].after);
        g_autofree char *second = read_file(&fake, ".ssh/authorized_keys2");
        assert_string_equal(second, "\n" LINE "\n");
    }
}

/* The second file may be root's own: the line of an earlier boot is replaced there, or one added. */
static void keys_in_the_second_file_stay(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after;
    } cases[] = {
        {"ssh-ed25519 AAAAME me\n\nssh-ed25519 AAAAOLD build@ingot.invalid\n", "ssh-ed25519 AAAAME me\n\n" LINE "\n"},
        {"ssh-ed25519 AAAAME me\n", "ssh-ed25519 AAAAME me\n\n" LINE "\n"},
        {"ssh-ed25519 AAAAME me", "ssh-ed25519 AAAAME me\n" LINE "\n"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Fake) fake = adopted_fake();
        g_autofree char *folder = g_build_filename(fake.place, ".ssh", NULL);
        g_autofree char *path = g_build_filename(folder, "authorized_keys2", NULL);
        assert_int_equal(g_mkdir(folder, 0700), 0);
        assert_true(g_file_set_contents(path, cases[i].before, -1, NULL));
        for (guint times = 0; times < 2; times++) {
            assert_true(guest_adopt(fake.guest, &key, 0, &stopping, NULL));
            g_autofree char *after = read_file(&fake, ".ssh/authorized_keys2");
            assert_string_equal(after, cases[i].after);
        }
    }
}

/* A pipe, or a link to nothing. */
static void what_holds_no_keys_is_left(void **state)
{
    (void)state;
    g_auto(Fake) fake = adopted_fake();
    g_autofree char *folder = g_build_filename(fake.place, ".ssh", NULL);
    g_autofree char *path = g_build_filename(folder, "authorized_keys2", NULL);
    g_autofree char *nothing = g_build_filename(fake.place, "nothing", NULL);
    assert_int_equal(g_mkdir(folder, 0700), 0);
    assert_int_equal(symlink(nothing, path), 0);
    assert_true(guest_adopt(fake.guest, &key, 0, &stopping, NULL));
    assert_false(g_file_test(nothing, G_FILE_TEST_EXISTS));
    assert_int_equal(g_remove(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_true(guest_adopt(fake.guest, &key, 0, &stopping, NULL));
}

static void a_guest_without_keys_gets_the_builds(void **state)
{
    (void)state;
    g_auto(Fake) fake = adopted_fake();
    assert_true(guest_adopt(fake.guest, &key, 0, &stopping, NULL));
    g_autofree char *second = read_file(&fake, ".ssh/authorized_keys2");
    assert_string_equal(second, "\n" LINE "\n");
    g_autofree char *first = read_file(&fake, ".ssh/authorized_keys");
    assert_null(first);
}

static void assert_now(const char *seconds)
{
    gint64 set = g_ascii_strtoll(seconds, NULL, 10), now = g_get_real_time() / G_USEC_PER_SEC;
    assert_true(set <= now && set > now - 60);
}

/* By perl, and by date where perl does not. */
static void the_clock_is_set(void **state)
{
    (void)state;
    g_auto(Fake) fake = adopted_fake();
    assert_true(guest_adopt(fake.guest, &key, 0, &stopping, NULL));
    g_autofree char *perl = read_file(&fake, "perl");
    g_auto(GStrv) parts = g_strsplit(perl, "syscall(227, 0, pack(\"q2\", ", 2);
    assert_int_equal(g_strv_length(parts), 2);
    assert_now(parts[1]);
    g_autofree char *none = read_file(&fake, "date");
    assert_null(none);
    fake_program(&fake, "perl", 1);
    assert_true(guest_adopt(fake.guest, &key, 0, &stopping, NULL));
    g_autofree char *date = read_file(&fake, "date");
    assert_true(g_str_has_prefix(date, "-s @"));
    assert_now(date + 4);
    /* One that can't be set is an error. */
    fake_program(&fake, "date", 1);
    assert_false(guest_adopt(fake.guest, &key, 0, &stopping, NULL));
}

/* Timers stand still where the clock jumps far, and only there. */
static void timers_are_stopped_before_a_jump(void **state)
{
    (void)state;
    if (!g_file_test("/run/systemd/system", G_FILE_TEST_IS_DIR)) {
        skip();
    }
    g_auto(Fake) fake = adopted_fake();
    assert_true(guest_adopt(fake.guest, &key, 5, &stopping, NULL));
    g_autofree char *none = read_file(&fake, "systemctl");
    assert_null(none);
    assert_true(guest_adopt(fake.guest, &key, 86400, &stopping, NULL));
    g_autofree char *stopped = read_file(&fake, "systemctl");
    assert_string_equal(stopped, "stop *.timer\n");
}

static void random_numbers_that_stay_the_same_are_an_error(void **state)
{
    (void)state;
    g_auto(Fake) fake = adopted_fake();
    fake_program(&fake, "perl", 1);
    assert_true(guest_adopt(fake.guest, &key, 0, &stopping, NULL)); /* python does it */
    fake_program(&fake, "python3", 1);
    g_autoptr(GError) error = NULL;
    if (g_file_test("/sys/module/vmgenid", G_FILE_TEST_IS_DIR)) {
        skip();
    }
    assert_false(guest_adopt(fake.guest, &key, 0, &stopping, &error));
    assert_non_null(strstr(error->message, "random numbers"));
}

/* What is scheduled is told from what programs say; the one that would take longest is not started. */
static void a_machine_that_is_to_go_down_is_seen(void **state)
{
    (void)state;
    for (guint i = 0; i < 4; i++) {
        gboolean scheduled = i & 1, noise = i & 2;
        g_auto(Fake) fake = adopted_fake();
        g_autofree char *folder = ingot_workdir_file(fake.workdir, "systemd/shutdown");
        g_autofree char *system = ingot_workdir_file(fake.workdir, "systemd/system");
        g_autofree char *file = g_build_filename(folder, "scheduled", NULL);
        g_autofree char *date = ingot_workdir_file(fake.workdir, "bin/date");
        assert_true(ingot_file_make_folder(folder, NULL) && ingot_file_make_folder(system, NULL));
        const char *said = noise ? "#!/bin/sh\necho 'no such zone' >&2\necho 100\n" : "#!/bin/sh\necho 100\n";
        fake_program(&fake, "perl", noise);
        assert_true(g_file_set_contents_full(date, said, -1, G_FILE_SET_CONTENTS_NONE, 0755, NULL));
        if (scheduled) {
            assert_true(g_file_set_contents(file, "USEC=900000000\nMODE=reboot\n", -1, NULL));
        }
        stopping = !scheduled;
        assert_true(guest_adopt(fake.guest, &key, 0, &stopping, NULL));
        assert_int_equal(stopping, scheduled);
        g_autofree char *systemctl = read_file(&fake, "systemctl");
        assert_null(systemctl);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_builds_line_is_replaced),
        cmocka_unit_test(keys_in_the_second_file_stay),
        cmocka_unit_test(what_holds_no_keys_is_left),
        cmocka_unit_test(a_guest_without_keys_gets_the_builds),
        cmocka_unit_test(the_clock_is_set),
        cmocka_unit_test(timers_are_stopped_before_a_jump),
        cmocka_unit_test(random_numbers_that_stay_the_same_are_an_error),
        cmocka_unit_test(a_machine_that_is_to_go_down_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
