/* What a log (no terminal) gets to see of a command's progress; stderr is a file for the time of each test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/secrets.h"
#include <ingot/progress.h>

static gpointer add_many(gpointer progress)
{
    for (int i = 0; i < 10000; i++)
        ingot_progress_add(progress, 1);
    return NULL;
}

static void work(IngotProgress *progress)
{
    ingot_progress_begin(progress, 20000, "pull %s", "web:1.0.0");
    GThread *other = g_thread_new("other", add_many, progress);
    add_many(progress);
    g_thread_join(other);
    ingot_progress_message(progress, "half of %d", 2);
    ingot_progress_end(progress, "%d chunks", 12);
    ingot_progress_end(progress, NULL); /* no stage: nothing to tell */
}

static char *printed_by(gboolean quiet)
{
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(NULL);
    g_autofree char *path = ingot_workdir_file(workdir, "err");
    g_auto(IngotFd) file = ingot_file_open(path, O_WRONLY | O_CREAT, 0600, NULL);
    g_auto(IngotFd) saved = dup(STDERR_FILENO);
    char *text = NULL;

    dup2(file, STDERR_FILENO);
    IngotProgress *progress = ingot_progress_new(quiet);
    work(progress);
    ingot_progress_free(progress);
    dup2(saved, STDERR_FILENO);
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

static void test_lines(void **state)
{
    (void)state;
    g_autofree char *text = printed_by(FALSE);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    assert_int_equal(g_strv_length(lines), 4);
    assert_string_equal(lines[0], "pull web:1.0.0 …");
    assert_string_equal(lines[1], "half of 2");
    assert_true(g_str_has_prefix(lines[2], "pull web:1.0.0: 12 chunks ("));
    assert_null(strchr(text, '\033'));
}

/* Neither a terminal nor the log is steered by what a guest prints; a secret does not hide behind it. */
static void test_nothing_steers_the_terminal(void **state)
{
    (void)state;
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(NULL);
    g_autofree char *path = ingot_workdir_file(workdir, "log");
    g_autofree char *text = NULL;
    ingot_secrets_register("swordfish");
    ingot_secrets_register("two\rparts");
    IngotProgress *progress = ingot_progress_new(TRUE);
    assert_true(ingot_progress_log(progress, path, NULL));
    ingot_progress_message(progress, "a\033]52;c;aGVsbG8=\007b \033[2J\tsch\303\266n\nx\ry");
    ingot_progress_message(progress, "sword\033[0mfish two\rparts");
    ingot_progress_free(progress);
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    assert_string_equal(text, "ab \tsch\303\266n\nxy\n*** ***\n");
}

static void test_quiet(void **state)
{
    (void)state;
    g_autofree char *text = printed_by(TRUE);
    assert_string_equal(text, "");
    work(NULL); /* no display at all is as good */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_nothing_steers_the_terminal),
        cmocka_unit_test(test_quiet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
