/* The ssh command: what is printed is what is run, words survive the way, and nothing of the user's gets in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glib/gstdio.h>
#include <string.h>

#include "../machine/fake.h"
#include "base/file.h"
#include "base/process.h"
#include "guest/sshcommand.h"

static GuestKey key = {.private_path = (char *)"/tmp/a folder/id",
                       .public_line = (char *)"ssh-ed25519 AAAA ingot-build"};

static void the_line_is_the_words(void **state)
{
    (void)state;
    g_autoptr(GPtrArray) words = sshcommand_words(&key, 2222, NULL);
    g_autofree char *line = sshcommand_line(&key, 2222);
    g_auto(GStrv) parsed = NULL;
    int count;
    assert_true(g_shell_parse_argv(line, &count, &parsed, NULL));
    assert_int_equal(count, words->len - 1);
    for (int i = 0; i < count; i++) {
        assert_string_equal(parsed[i], g_ptr_array_index(words, i));
    }
    assert_null(strstr(line, "'-")); /* options are not quoted */
}

/* What ssh makes of its options, by its own account, whatever the user has configured. */
static void nothing_of_the_user_s_is_used(void **state)
{
    (void)state;
    g_autoptr(IngotWorkdir) home = ingot_workdir_new(NULL);
    g_autofree char *folder = ingot_workdir_file(home, ".ssh"), *config = g_build_filename(folder, "config", NULL);
    static const char text[] = "Host *\n  ProxyJump nowhere.example\n  ForwardAgent yes\n  User somebody\n";
    assert_true(ingot_file_make_folder(folder, NULL));
    assert_true(ingot_file_replace(config, text, strlen(text), 0600, NULL));
    g_setenv("HOME", ingot_workdir_path(home), TRUE);
    g_setenv("SSH_AUTH_SOCK", "/tmp/an-agent", TRUE);
    g_autoptr(GuestKey) made = guest_key_new(ingot_workdir_path(home), NULL);
    g_autoptr(GPtrArray) words = sshcommand_words(made, 2222, NULL);
    g_autofree char *identity = g_strdup_printf("identityfile %s\n", made->private_path);
    g_ptr_array_insert(words, 1, g_strdup("-G"));
    g_autofree char *settings = ingot_process_output((const char *const *)words->pdata, NULL);
    assert_non_null(settings);
    static const char *const wanted[] = {"identitiesonly yes", "identityagent none", "batchmode yes",
                                         "user root",          "port 2222",          "userknownhostsfile /dev/null",
                                         "forwardagent no"};
    for (guint i = 0; i < G_N_ELEMENTS(wanted); i++) {
        assert_non_null(strstr(settings, wanted[i]));
    }
    const char *first = strstr(settings, "identityfile ");
    assert_true(g_str_has_prefix(first, identity) && strstr(first + 1, "identityfile ") == NULL);
    assert_null(strstr(settings, "nowhere.example"));
}

/* As sshd hands them on: joined with blanks, to a shell. */
static void words_arrive_as_words(void **state)
{
    (void)state;
    static const char *const command[] = {"printf", "<%s>", "two  blanks", "it's", "$HOME; `id`",
                                          "",       "*",    "-n",          "a\nb", NULL};
    g_autoptr(GPtrArray) words = sshcommand_words(&key, 22, command);
    guint first = words->len - 1 - (G_N_ELEMENTS(command) - 1);
    g_autofree char *line = g_strjoinv(" ", (char **)words->pdata + first);
    g_autofree char *output = ingot_process_output((const char *const[]){"sh", "-c", line, NULL}, NULL);
    assert_string_equal(output, "<two  blanks><it's><$HOME; `id`><><*><-n><a\nb>");
}

/* Puts an `ssh` before the real one: a script that has $COUNT, the number of times it was run. */
static void replace_ssh(const char *script)
{
    g_autofree char *path = ingot_workdir_file(fake_workdir, "ssh"), *count = ingot_workdir_file(fake_workdir, "count");
    g_autofree char *text = g_strdup_printf("#!/bin/sh\necho >>%s\nCOUNT=$(wc -l <%s)\n%s\n", count, count, script);
    g_unlink(count);
    assert_true(g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, 0755, NULL));
}

static void a_login_that_hangs_is_tried_again(void **state)
{
    (void)state;
    g_autoptr(Machine) machine = fake_start("{}", FALSE);
    g_autoptr(GError) error = NULL;
    replace_ssh("[ $COUNT -gt 2 ] || sleep 300");
    if (!sshcommand_wait(machine, &key, 300, 1, &error)) {
        fail_msg("%s", error->message);
    }
}

static void the_wait_for_a_login_has_an_end(void **state)
{
    (void)state;
    g_autoptr(Machine) machine = fake_start("{\"print\": \"the last line\\r\\n\"}", FALSE);
    g_autoptr(GError) error = NULL;
    gint64 began = g_get_monotonic_time();
    replace_ssh("sleep 300");
    assert_false(sshcommand_wait(machine, &key, 2, 300, &error));
    assert_true(g_get_monotonic_time() - began < 60 * G_USEC_PER_SEC);
    assert_non_null(strstr(error->message, "within 2 s"));
    assert_non_null(strstr(error->message, "the last line"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_line_is_the_words),           cmocka_unit_test(nothing_of_the_user_s_is_used),
        cmocka_unit_test(words_arrive_as_words),           cmocka_unit_test(a_login_that_hangs_is_tried_again),
        cmocka_unit_test(the_wait_for_a_login_has_an_end),
    };
    return cmocka_run_group_tests(tests, fake_set_up, fake_tear_down);
}
