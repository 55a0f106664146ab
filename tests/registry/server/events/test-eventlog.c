/* The log of events: it tells what was appended, proves that nothing is missing, and never gives up what the catalogue
 * does not know of. */
#include "../fixture.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "server/events/eventlog.h"

/* The lines of a transaction of events `first`, `first` + 1, … as they stand behind the mark, which moves. */
static GString *lines_of(EventMark *mark, guint first, guint count)
{
    GString *lines = g_string_new(NULL);
    g_autoptr(GPtrArray) events = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);
    for (guint i = 0; i < count; i++) {
        g_ptr_array_add(events, json_pack("{s:i, s:s}", "id", (int)(first + i), "text", "line\nend \xc3\xa9"));
    }
    eventlog_format(lines, events, mark);
    return lines;
}

static void append(const char *path, EventMark *mark, guint first, guint count)
{
    const EventMark before = *mark;
    g_autoptr(GString) lines = lines_of(mark, first, count);
    g_autoptr(GError) error = NULL;
    if (!eventlog_append(path, &before, lines, &error)) {
        fail_msg("%s", error->message);
    }
}

static EventMark start(const char *path, guint64 end)
{
    EventMark mark;
    assert_true(eventlog_start(path, end, &mark, NULL));
    return mark;
}

typedef struct {
    guint events, gaps;
    gboolean in_order;
} Found;

static gboolean take(const Event *event, gpointer user, GError **error)
{
    (void)error;
    Found *found = user;
    if (event->object == NULL) {
        assert_non_null(event->trouble);
        found->gaps++;
    } else {
        found->in_order &= json_integer_value(json_object_get(event->object, "id")) == found->events++;
    }
    return TRUE;
}

static Found read_to(const char *path, guint64 end, EventMark *mark)
{
    Found found = {.in_order = TRUE};
    assert_true(eventlog_read(path, end, take, &found, mark, NULL));
    return found;
}

static void assert_log(const char *path, guint64 end, guint events)
{
    Found found = read_to(path, end, NULL);
    assert_int_equal(found.gaps, 0);
    assert_int_equal(found.events, events);
    assert_true(found.in_order);
}

static gboolean same(const EventMark *a, const EventMark *b)
{
    return a->number == b->number && a->end == b->end && ingot_digest_equal(&a->hash, &b->hash);
}

static void assert_refused(const char *path, const EventMark *mark, const char *why)
{
    gboolean tail;
    g_autoptr(GError) error = NULL;
    g_autofree char *before = NULL, *after = NULL;
    gsize size, again;
    assert_true(g_file_get_contents(path, &before, &size, NULL));
    assert_false(eventlog_check(path, mark, &tail, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
    assert_non_null(strstr(error->message, why));
    assert_non_null(strstr(error->message, "ingotd rebuild"));
    assert_true(g_file_get_contents(path, &after, &again, NULL));
    assert_int_equal(size, again);
    assert_memory_equal(before, after, size);
}

static void tells_what_was_appended(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "names.log");
    EventMark mark = start(path, 0), found;
    gboolean tail;
    assert_log(path, G_MAXUINT64, 0);
    assert_true(eventlog_check(path, &mark, &tail, NULL));
    assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    append(path, &mark, 0, 2);
    const EventMark second = mark;
    append(path, &mark, 2, 3);
    assert_int_equal(mark.number, 5);
    assert_log(path, G_MAXUINT64, 5);
    assert_log(path, second.end, 2);
    read_to(path, G_MAXUINT64, &found);
    assert_true(same(&found, &mark));
    assert_true(eventlog_check(path, &mark, &tail, NULL));
    assert_false(tail);
}

/* Appended and not committed: set aside, whole or torn at any byte, and nothing else with it. */
static void a_transaction_that_was_not_committed_is_set_aside(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "names.log");
    g_autofree char *aside = ingot_workdir_file(*state, "names.log.aside");
    EventMark mark = start(path, 0);
    append(path, &mark, 0, 3);
    EventMark next = mark;
    append(path, &next, 90, 2);
    gsize kept = 0;
    for (guint64 end = next.end; end > mark.end; end -= MIN(end - mark.end, 37)) {
        gboolean tail;
        assert_int_equal(truncate(path, (off_t)end), 0);
        assert_true(eventlog_check(path, &mark, &tail, NULL));
        assert_true(tail);
        assert_true(eventlog_settle(path, &mark, NULL));
        assert_log(path, G_MAXUINT64, 3);
        kept += end - mark.end;
        GStatBuf st;
        assert_int_equal(g_stat(aside, &st), 0);
        assert_int_equal(st.st_size, kept);
        next = mark;
        append(path, &next, 90, 2);
    }
    /* Whoever appends finds it too: another process has ended in the middle. */
    append(path, &mark, 3, 1);
    assert_log(path, G_MAXUINT64, 4);
}

/* A catalogue that is older than its log, newer than it, or of another folder. */
static void another_log_is_refused_as_it_is(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "names.log");
    g_autofree char *elsewhere = ingot_workdir_file(*state, "other.log");
    EventMark mark = start(path, 0), other = mark;
    const EventMark none = mark;
    append(path, &mark, 0, 2);
    const EventMark first = mark;
    append(path, &mark, 2, 1);
    append(path, &mark, 3, 1);
    assert_refused(path, &first, "older than its log");
    assert_refused(path, &none, "older than its log");
    append(elsewhere, &other, 0, 1);
    append(elsewhere, &other, 1, 1);
    assert_refused(elsewhere, &mark, "shorter");
    append(elsewhere, &other, 7, 6);
    assert_refused(elsewhere, &mark, "not the log");
    assert_int_equal(truncate(path, (off_t)first.end), 0);
    assert_refused(path, &mark, "shorter");
}

/* What older versions wrote has no numbers: it is gone on with. */
static void a_log_without_numbers_is_continued(void **state)
{
    static const char old[] = "0000000000000000 {\"id\":0}\n";
    g_autofree char *path = ingot_workdir_file(*state, "names.log");
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < 3; i++) {
        g_autofree char *json = g_strdup_printf("{\"id\":%u}", i);
        g_string_append_printf(text, "%016" G_GINT64_MODIFIER "x %s\n", (guint64)XXH3_64bits(json, strlen(json)), json);
    }
    assert_true(g_file_set_contents(path, text->str, (gssize)text->len, NULL));
    EventMark mark = start(path, text->len), found;
    gboolean tail;
    assert_true(eventlog_check(path, &mark, &tail, NULL));
    assert_false(tail);
    read_to(path, G_MAXUINT64, &found);
    assert_true(same(&found, &mark));
    append(path, &mark, 3, 2);
    assert_int_equal(mark.number, 2);
    assert_log(path, G_MAXUINT64, 5);
    flip(path, 3);
    assert_int_equal(read_to(path, G_MAXUINT64, NULL).gaps, 1);
    flip(path, 3);
    /* Lines of unknown number behind the mark may be many transactions. */
    mark = start(path, text->len / 3);
    assert_int_equal(truncate(path, (off_t)text->len), 0);
    assert_refused(path, &mark, "older than its log");
    assert_false(eventlog_start(path, text->len + sizeof old, &mark, NULL));
}

static void every_flipped_bit_is_found(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "names.log");
    EventMark mark = start(path, 0);
    for (guint i = 0; i < 3; i++) {
        append(path, &mark, i, 1);
    }
    int fd = open(path, O_RDWR);
    for (guint64 at = 0; at < mark.end; at++) {
        guint8 byte;
        assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
        for (guint bit = 0; bit < 8; bit++) {
            guint8 other = byte ^ (guint8)(1u << bit);
            assert_int_equal(pwrite(fd, &other, 1, (off_t)at), 1);
            Found found = read_to(path, G_MAXUINT64, NULL);
            /* Without its newline a line is one with the next. */
            assert_true(found.gaps >= 1 && found.gaps <= 2);
            assert_true(found.events == 2 || (byte == '\n' && found.events >= 1));
        }
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    }
    close(fd);
    assert_log(path, G_MAXUINT64, 3);
}

/* Whole lines that were taken out, put in again or replaced by others: the sums fit, the chain does not. */
static void what_is_missing_is_told(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "names.log");
    EventMark mark = start(path, 0);
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < 4; i++) {
        g_autoptr(GString) line = lines_of(&mark, i, 1);
        g_ptr_array_add(lines, g_strdup(line->str));
    }
    EventMark forged = start(path, 0);
    g_autoptr(GString) strange = lines_of(&forged, 77, 1);
    char **of = (char **)lines->pdata;
    const struct {
        const char *lines[5];
        guint events, gaps;
    } cases[] = {
        {{of[0], of[1], of[2], of[3]}, 4, 0}, {{of[0], of[2], of[3]}, 3, 1},
        {{of[1], of[2], of[3]}, 3, 1},        {{of[0], of[1], of[1], of[2]}, 3, 1},
        {{of[0], of[0], of[1], of[2]}, 3, 1}, {{strange->str, of[1], of[2]}, 3, 1},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = g_strjoinv("", (char **)cases[i].lines);
        assert_true(g_file_set_contents(path, text, -1, NULL));
        Found found = read_to(path, G_MAXUINT64, NULL);
        assert_int_equal(found.events, cases[i].events);
        assert_int_equal(found.gaps, cases[i].gaps);
    }
}

/* A disk that is full in the middle of a line: what came of it does not stay. */
static void a_failed_append_leaves_nothing(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "names.log");
    EventMark mark = start(path, 0);
    append(path, &mark, 0, 1);
    EventMark after = mark;
    g_autoptr(GString) lines = lines_of(&after, 1, 1);
    struct rlimit old, limit;
    getrlimit(RLIMIT_FSIZE, &old);
    limit = (struct rlimit){.rlim_cur = mark.end + 10, .rlim_max = old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_false(eventlog_append(path, &mark, lines, NULL));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_log(path, G_MAXUINT64, 1);
    assert_true(eventlog_append(path, &mark, lines, NULL));
    assert_log(path, G_MAXUINT64, 2);
    assert_true(eventlog_undo(path, &mark, NULL));
    assert_log(path, G_MAXUINT64, 1);
}

/* None there has no lines; one that can't be read is not as if it had none. */
static void an_unreadable_log_is_an_error(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "names.log");
    EventMark mark = start(path, 0);
    Found found = {0};
    gboolean tail;
    assert_int_equal(g_mkdir(path, 0700), 0);
    assert_false(eventlog_read(path, G_MAXUINT64, take, &found, NULL, NULL));
    assert_false(eventlog_check(path, &mark, &tail, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tells_what_was_appended, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_transaction_that_was_not_committed_is_set_aside, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_log_is_refused_as_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_log_without_numbers_is_continued, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_flipped_bit_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_missing_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failed_append_leaves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_unreadable_log_is_an_error, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
