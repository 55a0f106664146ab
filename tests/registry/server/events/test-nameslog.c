/* The log of names: it tells what was appended, no more after a crash, and says where it is damaged. */
#include "../fixture.h"

#include <signal.h>
#include <sys/resource.h>

#include "server/events/nameslog.h"

static void add_line(GString *lines, guint number)
{
    g_autoptr(json_t) object = json_pack("{s:i, s:s}", "n", (int)number, "text", "line\nend \xc3\xa9");
    nameslog_format(lines, object);
}

static gboolean take(const json_t *object, gpointer user, GError **error)
{
    (void)error;
    g_array_append_vals(user, &(guint){(guint)json_integer_value(json_object_get(object, "n"))}, 1);
    return TRUE;
}

/* The numbers of the lines that are whole. */
static GArray *read_all(const char *path, guint64 end, guint *damaged)
{
    GArray *found = g_array_new(FALSE, FALSE, sizeof(guint));
    assert_true(nameslog_read(path, end, take, found, damaged, NULL));
    return found;
}

static void append(NamesLog *log, guint number, guint64 *end)
{
    g_autoptr(GString) lines = g_string_new(NULL);
    add_line(lines, number);
    assert_true(nameslog_append(log, lines, end, NULL));
}

static void assert_numbers(const char *path, guint64 end, guint count, guint damaged)
{
    guint wrong;
    g_autoptr(GArray) found = read_all(path, end, &wrong);
    assert_int_equal(wrong, damaged);
    assert_int_equal(found->len, count);
    for (guint i = 0; i < count; i++) {
        assert_int_equal(g_array_index(found, guint, i), i);
    }
}

static void tells_what_was_appended(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "names.log");
    guint64 ends[6];
    g_autoptr(NamesLog) log = nameslog_open(path, 0, NULL);
    assert_numbers(path, G_MAXUINT64, 0, 0);
    for (guint i = 0; i < G_N_ELEMENTS(ends); i++) {
        append(log, i, &ends[i]);
    }
    assert_numbers(path, G_MAXUINT64, 6, 0);
    assert_numbers(path, ends[2], 3, 0);
    assert_true(nameslog_truncate(log, ends[3], NULL));
    append(log, 4, &ends[5]);
    assert_int_equal(ends[5], ends[4]);
    assert_numbers(path, G_MAXUINT64, 5, 0);
}

/* What was appended and not committed when the power went is gone after the next start. */
static void a_crash_leaves_no_tail(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "names.log");
    guint64 first, second;
    {
        g_autoptr(NamesLog) log = nameslog_open(path, 0, NULL);
        append(log, 0, &first);
        append(log, 1, &second);
    }
    for (guint64 size = second; size >= first; size--) {
        assert_int_equal(truncate(path, (off_t)size), 0);
        g_autoptr(NamesLog) log = nameslog_open(path, first, NULL);
        assert_non_null(log);
        assert_numbers(path, G_MAXUINT64, 1, 0);
        guint64 end;
        append(log, 1, &end);
        assert_numbers(path, G_MAXUINT64, 2, 0);
    }
    g_autoptr(GError) error = NULL;
    assert_null(nameslog_open(path, second + 1, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
}

static void every_flipped_bit_is_found(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "names.log");
    guint64 ends[3];
    {
        g_autoptr(NamesLog) log = nameslog_open(path, 0, NULL);
        for (guint i = 0; i < G_N_ELEMENTS(ends); i++) {
            append(log, i, &ends[i]);
        }
    }
    int fd = open(path, O_RDWR);
    for (guint64 at = 0; at < ends[2]; at++) {
        guint8 byte;
        assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
        for (guint bit = 0; bit < 8; bit++) {
            guint8 other = byte ^ (guint8)(1u << bit);
            guint damaged;
            assert_int_equal(pwrite(fd, &other, 1, (off_t)at), 1);
            g_autoptr(GArray) found = read_all(path, G_MAXUINT64, &damaged);
            /* Without its newline a line is one with the next. */
            assert_true(damaged >= 1 && damaged <= 2);
            assert_true(found->len == 2 || (byte == '\n' && found->len >= 1));
        }
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    }
    close(fd);
    assert_numbers(path, G_MAXUINT64, 3, 0);
}

/* A disk that is full in the middle of a line: what came of it does not stay. */
static void a_failed_append_leaves_nothing(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "names.log");
    g_autoptr(NamesLog) log = nameslog_open(path, 0, NULL);
    g_autoptr(GString) lines = g_string_new(NULL);
    guint64 end, ignored;
    append(log, 0, &end);
    add_line(lines, 1);
    struct rlimit old, limit;
    getrlimit(RLIMIT_FSIZE, &old);
    limit = (struct rlimit){.rlim_cur = end + 10, .rlim_max = old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_false(nameslog_append(log, lines, &ignored, NULL));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_numbers(path, G_MAXUINT64, 1, 0);
    assert_true(nameslog_append(log, lines, &ignored, NULL));
    assert_numbers(path, G_MAXUINT64, 2, 0);
}

/* None there has no lines; one that can't be read is not as if it had none. */
static void an_unreadable_log_is_an_error(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "names.log");
    assert_numbers(path, G_MAXUINT64, 0, 0);
    assert_int_equal(g_mkdir(path, 0700), 0);
    guint damaged;
    g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(guint));
    assert_false(nameslog_read(path, G_MAXUINT64, take, found, &damaged, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tells_what_was_appended, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_crash_leaves_no_tail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_flipped_bit_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failed_append_leaves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_unreadable_log_is_an_error, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
