/* The log's writer: lines come whole and in order; nobody waits for a reader that does not read, and it is told what
 * was dropped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/http/logwriter.h"

#define SHORT_WAIT (G_TIME_SPAN_SECOND / 5)
#define LONG_WAIT (60 * G_TIME_SPAN_SECOND)

static char *tell_dropped(guint64 lines)
{
    return g_strdup_printf("dropped %" G_GUINT64_FORMAT, lines);
}

/* Reads all that comes until the other end is closed. */
static gpointer read_all(gpointer fd)
{
    GString *all = g_string_new(NULL);
    char part[4096];
    for (gssize got; (got = read(GPOINTER_TO_INT(fd), part, sizeof part)) > 0;) {
        g_string_append_len(all, part, got);
    }
    return all;
}

static void lines_come_whole_and_in_order(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    GThread *reader = g_thread_new("reader", read_all, GINT_TO_POINTER(ends[0]));
    LogWriter *writer = logwriter_new(ends[1], tell_dropped);
    for (guint i = 0; i < 1000; i++) {
        g_autofree char *line = g_strdup_printf("line %u", i);
        logwriter_add(writer, line);
    }
    assert_true(logwriter_end(writer, LONG_WAIT));
    close(ends[1]);
    GString *all = g_thread_join(reader);
    g_auto(GStrv) lines = g_strsplit(all->str, "\n", -1);
    assert_int_equal(g_strv_length(lines), 1001); /* the last one is empty */
    for (guint i = 0; i < 1000; i++) {
        g_autofree char *line = g_strdup_printf("line %u", i);
        assert_string_equal(lines[i], line);
    }
    g_string_free(all, TRUE);
    close(ends[0]);
}

static void who_does_not_read_holds_nobody_up(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    LogWriter *writer = logwriter_new(ends[1], tell_dropped);
    g_autofree char *line = g_strnfill(1023, 'x');
    guint added = 4 * LOGWRITER_MAX / 1024;
    for (guint i = 0; i < added; i++) {
        logwriter_add(writer, line);
    }
    assert_false(logwriter_end(writer, SHORT_WAIT));
    GThread *reader = g_thread_new("reader", read_all, GINT_TO_POINTER(ends[0]));
    assert_true(logwriter_end(writer, LONG_WAIT));
    close(ends[1]);
    GString *all = g_thread_join(reader);
    guint64 dropped = 0, told = 0, came = 0;
    /* It may be told more than once, of so many more each time. */
    for (const char *at = all->str; (at = strstr(at, "dropped ")) != NULL; at++) {
        dropped += g_ascii_strtoull(at + strlen("dropped "), NULL, 10);
        told++;
    }
    for (const char *at = all->str; (at = strchr(at, '\n')) != NULL; at++) {
        came++;
    }
    assert_true(dropped > 0);
    assert_int_equal(came - told + dropped, added);
    g_string_free(all, TRUE);
    close(ends[0]);
}

static void who_is_gone_ends_nothing(void **state)
{
    int ends[2];
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    close(ends[0]);
    LogWriter *writer = logwriter_new(ends[1], tell_dropped);
    logwriter_add(writer, "nobody reads this");
    assert_true(logwriter_end(writer, LONG_WAIT));
    close(ends[1]);
}

/* Waits until the writer has been at it: it has nothing else to show where all is dropped. */
static void add_and_wait(LogWriter *writer, const char *line)
{
    logwriter_add(writer, line);
    g_usleep(200000);
}

static void what_a_full_disk_drops_is_told(void **state)
{
    int ends[2], fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    LogWriter *writer = logwriter_new(fd, tell_dropped);
    add_and_wait(writer, "one");
    add_and_wait(writer, "two");
    assert_int_equal(dup2(ends[1], fd), fd);
    close(ends[1]);
    logwriter_add(writer, "three");
    assert_true(logwriter_end(writer, LONG_WAIT));
    close(fd);
    GString *all = read_all(GINT_TO_POINTER(ends[0]));
    const char *told = strstr(all->str, "three\ndropped ");
    assert_non_null(told);
    guint came = strstr(all->str, "two\n") != NULL; /* where the writer was slow */
    assert_int_equal(g_ascii_strtoull(told + strlen("three\ndropped "), NULL, 10) + came, 2);
    g_string_free(all, TRUE);
    close(ends[0]);
}

static void a_descriptor_that_does_not_block(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    LogWriter *writer = logwriter_new(ends[1], tell_dropped);
    g_autofree char *line = g_strnfill(1023, 'x');
    for (guint i = 0; i < 200; i++) {
        logwriter_add(writer, line);
    }
    g_usleep(200000);
    GThread *reader = g_thread_new("reader", read_all, GINT_TO_POINTER(ends[0]));
    assert_true(logwriter_end(writer, LONG_WAIT));
    close(ends[1]);
    GString *all = g_thread_join(reader);
    assert_int_equal(all->len, 200 * 1024);
    g_string_free(all, TRUE);
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_whole_and_in_order),    cmocka_unit_test(who_does_not_read_holds_nobody_up),
        cmocka_unit_test(who_is_gone_ends_nothing),         cmocka_unit_test(what_a_full_disk_drops_is_told),
        cmocka_unit_test(a_descriptor_that_does_not_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
