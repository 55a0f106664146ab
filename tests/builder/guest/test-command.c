/* Scripts in a guest: their statuses, limits, output and environment; and guests that hang, flood or talk nonsense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ingot/error.h>

#include "fake.h"

static void keep_line(const char *line, gpointer user)
{
    g_string_append_printf(user, "%s\n", line);
}

/* What a step's script printed; *status as guest_run gives it. */
static char *run(Guest *guest, GuestCommand command, int *status, GError **error)
{
    GString *output = g_string_new(NULL);
    command.line = keep_line;
    command.user_data = output;
    guest_run(guest, &command, status, error);
    return g_string_free(output, FALSE);
}

static char *run_well(Guest *guest, GuestCommand command, int wanted)
{
    int status = -1;
    g_autoptr(GError) error = NULL;
    char *output = run(guest, command, &status, &error);
    if (error != NULL) {
        print_message("%s\n", error->message);
    }
    assert_null(error);
    if (status != wanted) {
        print_message("status %d: %s\n", status, output);
    }
    assert_int_equal(status, wanted);
    return output;
}

static void a_script_has_its_own_status(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    static const struct {
        const char *script;
        int status;
    } cases[] = {
        {"exit 0", 0},     {"exit 3", 3},       {"false; exit 0", 1}, {"exit 124", 124}, {"timeout 1 sleep 5", 124},
        {"exit 137", 137}, {"kill -9 $$", 137}, {"exit 255", 255}};
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *output =
            run_well(fake.guest, (GuestCommand){.script = cases[i].script, .seconds = 30}, cases[i].status);
    }
}

static void a_limit_is_told_from_a_status(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    static const char *const scripts[] = {"echo begun; sleep 100",
                                          "trap '' TERM; echo begun; sleep 100 & wait; sleep 9"};
    for (guint i = 0; i < G_N_ELEMENTS(scripts); i++) {
        int status = -1;
        g_autoptr(GError) error = NULL;
        g_autofree char *output = run(fake.guest, (GuestCommand){.script = scripts[i], .seconds = 1}, &status, &error);
        assert_non_null(error);
        assert_non_null(strstr(error->message, "still running after 1 s"));
        assert_string_equal(output, "begun\n");
    }
    /* The session goes on. */
    g_autofree char *output = run_well(fake.guest, (GuestCommand){.script = "echo on"}, 0);
    assert_string_equal(output, "on\n");
}

/* The host's own limit is far behind a script's: 72 minutes are more microseconds than 32 bits hold. */
static void limits_may_be_days(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    static const guint limits[] = {4260, 4320, 7200, 3 * 86400, G_MAXINT};
    for (guint i = 0; i < G_N_ELEMENTS(limits); i++) {
        g_autofree char *output =
            run_well(fake.guest, (GuestCommand){.script = "sleep 0.7; echo on", .seconds = limits[i]}, 0);
        assert_string_equal(output, "on\n");
    }
}

static void output_comes_line_by_line(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    static const struct {
        const char *script, *output;
    } cases[] = {{"echo a; echo b >&2", "a\nb\n"},
                 {"printf 'a\\n\\nb'", "a\n\nb\n"},
                 {"printf 'a\\n\\n\\n'", "a\n\n\n"},
                 {"printf 'a\\r\\nb\\r\\r\\n'", "a\nb\n"},
                 {"printf ''", ""},
                 {"printf 'a\\000b\\377\\n'", "a\357\277\275b\357\277\275\n"},
                 {"printf '\\n0123456789abcdef0123456789abcdef 0\\n'", "\n0123456789abcdef0123456789abcdef 0\n"},
                 {"read -r line || echo no stdin", "no stdin\n"}};
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *output = run_well(fake.guest, (GuestCommand){.script = cases[i].script}, 0);
        assert_string_equal(output, cases[i].output);
    }
}

static void a_script_may_say_what_runs_it(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    g_autofree char *bash = run_well(fake.guest, (GuestCommand){.script = "#!/bin/bash\na=(1 2); echo ${#a[@]}\n"}, 0);
    assert_string_equal(bash, "2\n");
    g_autofree char *perl =
        run_well(fake.guest, (GuestCommand){.script = "#!/usr/bin/perl\nprint 6 * 7, \"\\n\";\n"}, 0);
    assert_string_equal(perl, "42\n");
    static const char bytes[] = "#!/usr/bin/tail -n1\n\0\nlast\n";
    g_autofree char *binary = run_well(fake.guest, (GuestCommand){.script = bytes, .script_size = sizeof bytes - 1}, 0);
    assert_string_equal(binary, "last\n");
    g_autoptr(GString) large = g_string_new("true\n");
    while (large->len < 300000) {
        g_string_append(large, ": padding of a long script\n");
    }
    g_string_append(large, "echo whole\n");
    g_autofree char *whole = run_well(fake.guest, (GuestCommand){.script = large->str}, 0);
    assert_string_equal(whole, "whole\n");
}

static void a_step_has_a_logins_environment(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    const char *own[] = {"GREETING=it's \"good\" $HOME\nmorning", "ingot=x", "f=g", NULL};
    g_autofree char *output = run_well(
        fake.guest,
        (GuestCommand){.script = "printf '%s|' \"$GREETING\" $ingot $f $HOME $USER $LOGNAME \"${SSH_CLIENT-}\"",
                       .environment = own},
        0);
    assert_string_equal(output, "it's \"good\" $HOME\nmorning|x|g|/root|root|root||\n");
    /* What reads /etc/environment, on a text of ours. */
    static const char script[] = "cat >$ingot_place/text <<'END'\n"
                                 "# a comment\n"
                                 "JAVA_HOME=/opt/java\n"
                                 "  export A=b # said\n"
                                 "Q=\"two words\"  \n"
                                 "S='one'\n"
                                 "not a line\n"
                                 "1BAD=x\n"
                                 "X=$(touch /nowhere)`x`\n"
                                 "EQ=a=b\n"
                                 "END\n"
                                 "printf 'LAST=no newline' >>$ingot_place/text\n"
                                 "ingot_variables <$ingot_place/text\n"
                                 "printf '%s|' \"$JAVA_HOME\" \"$A\" \"$Q\" \"$S\" \"$X\" \"$EQ\" \"$LAST\"\n";
    g_autofree char *read = NULL;
    g_autoptr(GError) error = NULL;
    assert_true(guest_script(fake.guest, script, &read, &error));
    assert_string_equal(read, "/opt/java|b|two words|one|$(touch /nowhere)`x`|a=b|no newline|");
}

static void secrets_are_in_no_file_and_on_no_command_line(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    const char *own[] = {"TOKEN=swordfish-7d1f0c", NULL};
    g_autofree char *script = g_strdup_printf("[ \"$TOKEN\" = swordfish-7d1f0c ]; unset TOKEN\n"
                                              "! grep -rs swordfish-7 %s | grep -v script-\n"
                                              "! cat /proc/$$/cmdline /proc/$PPID/cmdline | grep -a swordfish-7\n"
                                              "[ \"$(stat -c %%a %s/script-?)\" = 600 ]\n"
                                              "[ \"$(stat -c %%a %s)\" = 711 ]\n",
                                              fake.place, fake.place, fake.place);
    g_autofree char *output = run_well(fake.guest, (GuestCommand){.script = script, .environment = own}, 0);
    assert_string_equal(output, "");
    g_autofree char *left = NULL;
    g_autofree char *ask = g_strdup_printf("ls %s", fake.place);
    assert_true(guest_script(fake.guest, ask, &left, NULL));
    assert_string_equal(left, "");
}

static void another_user_runs_its_own_script(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    g_auto(Fake) fake = fake_new();
    g_autofree char *parent = g_path_get_dirname(fake.place);
    assert_int_equal(g_chmod(parent, 0711), 0);
    const char *own[] = {"TOKEN=swordfish-7d1f0c", NULL};
    g_autofree char *output =
        run_well(fake.guest,
                 (GuestCommand){
                     .script = "#!/bin/sh\nid -un; echo $USER $HOME $TOKEN; ls $(dirname $0) 2>/dev/null || echo no\n",
                     .user = "nobody",
                     .environment = own},
                 0);
    assert_string_equal(output, "nobody\nnobody /nonexistent swordfish-7d1f0c\nno\n");
}

/* A script that cannot be started has no status that a step may expect; the session goes on. */
static void does_not_start(Fake *fake, GuestCommand command, const char *words)
{
    int status = -1;
    g_autoptr(GError) error = NULL;
    g_autofree char *ran = g_strdup_printf("touch %s/ran", fake->place);
    command.script = ran;
    g_autofree char *output = run(fake->guest, command, &status, &error);
    assert_non_null(error);
    assert_string_equal(error->message, words);
    assert_int_equal(status, -1);
    g_autofree char *ask = g_strdup_printf("ls %s", fake->place);
    g_autofree char *left = run_well(fake->guest, (GuestCommand){.script = ask}, 0);
    assert_null(strstr(left, "ran"));
    assert_null(strstr(left, "unstarted"));
}

static void a_missing_user_or_folder_is_not_a_status(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    does_not_start(&fake, (GuestCommand){.workdir = "/no/such folder"},
                   "/no/such folder: no such folder in the machine");
    does_not_start(&fake, (GuestCommand){.workdir = "/etc/passwd"}, "/etc/passwd: no such folder in the machine");
    g_autofree char *runuser = g_find_program_in_path("runuser");
    if (runuser != NULL) {
        does_not_start(&fake, (GuestCommand){.user = "no such"}, "user 'no such' does not exist in the machine");
        does_not_start(&fake, (GuestCommand){.user = ""}, "user '' does not exist in the machine");
    }
    g_autofree char *where = run_well(fake.guest, (GuestCommand){.script = "pwd", .workdir = "/usr"}, 0);
    assert_string_equal(where, "/usr\n");
    g_autofree char *same = run_well(fake.guest, (GuestCommand){.script = "exit 1", .workdir = "/usr"}, 1);
}

/* A step's PATH is the script's, not that of what starts it. */
static void a_step_may_have_any_path(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    const char *own[] = {"PATH=/no/such/folder", NULL};
    g_autofree char *output = run_well(fake.guest, (GuestCommand){.script = "echo $PATH", .environment = own}, 0);
    assert_string_equal(output, "/no/such/folder\n");
    g_autofree char *direct =
        run_well(fake.guest, (GuestCommand){.script = "#!/bin/sh\necho $PATH\n", .environment = own}, 0);
    assert_string_equal(direct, "/no/such/folder\n");
}

static void a_guest_without_a_program_says_which(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    g_autofree char *bare = g_strdup_printf(
        "mkdir %s/bare && for p in mkdir head tee cat rm sleep setsid; do ln -s \"$(command -v $p)\" %s/bare; done",
        fake.place, fake.place);
    assert_true(guest_script(fake.guest, bare, NULL, NULL));
    g_autofree char *path = g_strdup_printf("export PATH=%s/bare\n", fake.place);
    Fake other;
    g_autoptr(GError) error = NULL;
    g_autofree char *loop = g_strconcat(path, guest_loop(), NULL);
    fake_open(&other, loop, 0, &error);
    assert_null(error);
    int status = -1;
    g_autofree char *output = run(other.guest, (GuestCommand){.script = "echo ran"}, &status, &error);
    assert_non_null(error);
    assert_non_null(strstr(error->message, "no program 'timeout'"));
    assert_string_equal(output, "");
    fake_clear(&other);
}

/* What a step leaves running goes on, can go on to print, and is seen by none of the later steps. */
static void the_output_of_an_earlier_step_is_cut_off(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    g_autofree char *script = g_strdup_printf(
        "( while :; do echo 3; echo stray >&2; printf '\\n%%s' 0 ; echo x >>%s/alive; sleep 0.01; done ) & echo begun",
        fake.place);
    g_autofree char *first = run_well(fake.guest, (GuestCommand){.script = script}, 0);
    assert_non_null(strstr(first, "begun"));
    g_autofree char *counts = g_strdup_printf("wc -l <%s/alive; sleep 0.3; wc -l <%s/alive", fake.place, fake.place);
    for (guint i = 0; i < 5; i++) {
        g_autofree char *quiet = run_well(fake.guest, (GuestCommand){.script = "sleep 0.05; echo quiet"}, 0);
        assert_string_equal(quiet, "quiet\n");
    }
    g_autofree char *lines = run_well(fake.guest, (GuestCommand){.script = counts}, 0);
    g_auto(GStrv) numbers = g_strsplit(lines, "\n", -1);
    assert_true(atoi(numbers[1]) > atoi(numbers[0]));
}

typedef struct {
    guint64 bytes;
    guint64 longest;
} Amount;

static void count_line(const char *line, gpointer user)
{
    Amount *amount = user;
    amount->bytes += strlen(line);
    amount->longest = MAX(amount->longest, strlen(line));
}

static void a_flood_is_bounded(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    Amount amount = {0};
    GuestCommand command = {
        .script = "head -c 200000000 /dev/zero | tr '\\0' x", .seconds = 100, .line = count_line, .user_data = &amount};
    int status = -1;
    g_autoptr(GError) error = NULL;
    assert_true(guest_run(fake.guest, &command, &status, &error));
    assert_int_equal(status, 0);
    assert_int_equal(amount.bytes, 200000000);
    assert_true(amount.longest < 2u << 20);
    g_autofree char *output = NULL;
    assert_true(guest_script(fake.guest, "head -c 20000000 /dev/zero | tr '\\0' x", &output, &error));
    assert_int_equal(strlen(output), 4u << 20);
}

static void a_script_that_does_not_fit_is_an_error(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    g_autofree char *full =
        g_strdup_printf("ln -s /dev/full %s/script-0; ln -s /dev/full %s/script-1", fake.place, fake.place);
    assert_true(guest_script(fake.guest, full, NULL, NULL));
    g_autoptr(GString) script = g_string_new(NULL);
    while (script->len < 20000) {
        g_string_append_printf(script, "touch %s/taken-for-a-command\n", fake.place);
    }
    for (guint i = 0; i < 2; i++) {
        int status = -1;
        g_autoptr(GError) error = NULL;
        g_autofree char *output = run(fake.guest, (GuestCommand){.script = script->str}, &status, &error);
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NO_SPACE));
    }
    g_autofree char *ask = g_strdup_printf("[ ! -e %s/taken-for-a-command ] && echo on", fake.place);
    g_autofree char *output = run_well(fake.guest, (GuestCommand){.script = ask}, 0);
    assert_string_equal(output, "on\n");
}

static void a_short_script_tells_why_it_failed(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    g_autoptr(GError) error = NULL;
    assert_false(guest_script(fake.guest, "echo it is so >&2; exit 4", NULL, &error));
    assert_non_null(strstr(error->message, "it is so (exit status 4)"));
    g_clear_error(&error);
    assert_false(guest_script(fake.guest, "if", NULL, &error));
    assert_non_null(error);
    g_autofree char *output = NULL;
    assert_true(guest_script(fake.guest, "printf '%s\\n' 'a\\b  c' \"it's\"\necho", &output, NULL));
    assert_string_equal(output, "a\\b  c\nit's\n");
}

/* --- guests that are not as they should be --- */

static void an_ended_session_is_an_error(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    int status = -1;
    g_autoptr(GError) error = NULL;
    g_autofree char *kill_all = g_strdup_printf("kill -9 %d", fake.shell);
    /* The script itself comes to its end. */
    g_autofree char *output = run(fake.guest, (GuestCommand){.script = kill_all}, &status, NULL);
    assert_false(guest_script(fake.guest, "true", NULL, &error));
    assert_non_null(strstr(error->message, "the session in the machine has ended"));
    g_clear_error(&error);
    assert_false(guest_script(fake.guest, "true", NULL, &error));
    assert_non_null(strstr(error->message, "out of step"));
}

static void nonsense_is_an_error(void **state)
{
    (void)state;
    static const char *const guests[] = {
        "true", "cat", "cat /dev/zero", "yes", "echo hello; cat >/dev/null", "exec >&-; cat >/dev/null",
    };
    for (guint i = 0; i < G_N_ELEMENTS(guests); i++) {
        Fake fake;
        g_autoptr(GError) error = NULL;
        gint64 began = g_get_monotonic_time();
        fake_open(&fake, guests[i], 2, &error);
        if (error == NULL) {
            print_message("%s is taken for a guest\n", guests[i]);
        }
        assert_null(fake.guest);
        assert_non_null(error);
        assert_true(g_get_monotonic_time() - began < 30 * G_USEC_PER_SEC);
        fake_clear(&fake);
    }
}

/* A guest that stops reading: the limit of the whole ends it. */
static void a_guest_that_hangs_is_an_error(void **state)
{
    (void)state;
    Fake fake;
    g_autoptr(GError) error = NULL;
    fake_open(&fake, guest_loop(), 1, &error);
    assert_null(error);
    kill(-fake.shell, SIGSTOP);
    g_autofree char *large = g_strnfill(4u << 20, '#');
    int status;
    g_autofree char *output = run(fake.guest, (GuestCommand){.script = large}, &status, &error);
    assert_non_null(strstr(error->message, "has taken nothing for 1 s"));
    kill(-fake.shell, SIGCONT);
    /* It may have half of the script: nothing more is said to it. */
    g_clear_error(&error);
    assert_false(guest_script(fake.guest, "true", NULL, &error));
    assert_non_null(strstr(error->message, "out of step"));
    fake_clear(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_script_has_its_own_status),
        cmocka_unit_test(a_limit_is_told_from_a_status),
        cmocka_unit_test(limits_may_be_days),
        cmocka_unit_test(output_comes_line_by_line),
        cmocka_unit_test(a_script_may_say_what_runs_it),
        cmocka_unit_test(a_step_has_a_logins_environment),
        cmocka_unit_test(secrets_are_in_no_file_and_on_no_command_line),
        cmocka_unit_test(another_user_runs_its_own_script),
        cmocka_unit_test(a_missing_user_or_folder_is_not_a_status),
        cmocka_unit_test(a_step_may_have_any_path),
        cmocka_unit_test(a_guest_without_a_program_says_which),
        cmocka_unit_test(the_output_of_an_earlier_step_is_cut_off),
        cmocka_unit_test(a_flood_is_bounded),
        cmocka_unit_test(a_script_that_does_not_fit_is_an_error),
        cmocka_unit_test(a_short_script_tells_why_it_failed),
        cmocka_unit_test(an_ended_session_is_an_error),
        cmocka_unit_test(nonsense_is_an_error),
        cmocka_unit_test(a_guest_that_hangs_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
