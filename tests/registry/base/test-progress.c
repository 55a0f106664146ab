/* What a log (no terminal) gets to see of a command's progress; stderr is a file for the time of each test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <ingot/progress.h>

#include "base/file.h"
#include "base/secrets.h"
#include "base/terminal.h"

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
    IngotProgress *progress = terminal_progress_new(quiet);
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
    IngotProgress *progress = terminal_progress_new(TRUE);
    assert_true(terminal_progress_log(progress, path, NULL));
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

typedef struct {
    GString *all;
    const IngotProgress *last;
    gboolean freed;
} Told;

static const char *or_null(const char *text)
{
    return text == NULL ? "-" : text;
}

static void tell(const IngotProgressReport *report, gpointer user)
{
    static const char *const words[] = {"begun", "moved", "ended", "dropped", "message", "warning"};
    Told *told = user;
    g_string_append_printf(told->all, "%s %s %s %u/%u %s\n", words[report->event], or_null(report->name),
                           or_null(report->stage), (guint)report->done, (guint)report->total, or_null(report->message));
    told->last = report->progress;
    assert_true(report->stage == NULL || report->seconds >= 0);
}

static void told_free(gpointer user)
{
    ((Told *)user)->freed = TRUE;
}

static void test_function(void **state)
{
    (void)state;
    Told told = {.all = g_string_new(NULL)};
    IngotProgress *progress = ingot_progress_new(tell, &told, told_free);
    ingot_progress_message(progress, "before %d", 1);
    ingot_progress_begin(progress, 10, "pull %s", "web");
    g_usleep(G_USEC_PER_SEC / 9); /* it is told of what moved ten times a second at most */
    ingot_progress_add(progress, 10);
    ingot_progress_end(progress, "%s", "all");
    IngotProgress *child = ingot_progress_child(progress, "db");
    ingot_progress_begin(child, 0, "boot");
    ingot_progress_warning(child, "slow");
    assert_ptr_equal(told.last, child);
    ingot_progress_free(child);
    assert_false(told.freed);
    ingot_progress_end(progress, NULL); /* no stage: nothing to tell */
    ingot_progress_free(progress);
    assert_true(told.freed);
    assert_string_equal(told.all->str, "message - - 0/0 before 1\n"
                                       "begun - pull web 0/10 -\n"
                                       "moved - pull web 10/10 -\n"
                                       "ended - pull web 10/10 all\n"
                                       "begun db boot 0/0 -\n"
                                       "warning db boot 0/0 slow\n"
                                       "dropped db boot 0/0 -\n");
    g_string_free(told.all, TRUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_nothing_steers_the_terminal),
        cmocka_unit_test(test_quiet),
        cmocka_unit_test(test_function),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
