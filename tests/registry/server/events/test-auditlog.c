/* An audit: each event that was changed, removed, put in or moved shows, and so does a log that was cut or written
 * anew, to whoever knows an event of it. */
#include "../fixture.h"

#include "server/events/auditlog.h"
#include "server/events/eventline.h"

#define EVENTS 6u

/* A log of EVENTS events; the mark of the last one. */
static EventMark write_log(const char *path)
{
    EventMark mark;
    assert_true(eventlog_start(path, 0, &mark, NULL));
    for (guint i = 1; i <= EVENTS; i++) {
        const EventMark before = mark;
        g_autoptr(GString) lines = g_string_new(NULL);
        g_autoptr(GPtrArray) events = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);
        g_ptr_array_add(events, json_pack("{s:s, s:s, s:i}", "op", "tag", "name", "team/web", "at", (int)i));
        eventlog_format(lines, events, &mark);
        assert_true(eventlog_append(path, &before, lines, NULL));
    }
    return mark;
}

static char **read_lines(const char *path)
{
    g_autofree char *text = NULL;
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return g_strsplit(text, "\n", -1);
}

static void write_lines(const char *path, char **lines)
{
    g_autofree char *text = g_strjoinv("\n", lines);
    assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void count_line(const char *line, gpointer user)
{
    guint *count = user;
    assert_non_null(line);
    (*count)++;
}

static AuditReport verify(const char *path, const EventMark *known, const IngotDigest *wanted)
{
    AuditReport report;
    guint told = 0;
    assert_true(audit_verify(path, known, wanted, count_line, &told, &report, NULL));
    assert_int_equal(told, report.faults);
    return report;
}

/* A line with another text, and the sum that fits it. */
static char *edited(const char *line)
{
    g_autoptr(json_t) object = eventline_parse(line, strlen(line));
    assert_non_null(object);
    json_object_set_new(object, "name", json_string("team/other"));
    GString *out = g_string_new(NULL);
    eventline_append(out, object);
    return g_string_free(out, FALSE);
}

static void a_whole_log_has_no_fault(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "names.log");
    EventMark mark = write_log(path);
    AuditReport report = verify(path, &mark, &mark.hash);
    assert_int_equal(report.faults, 0);
    assert_int_equal(report.events, EVENTS);
    assert_int_equal(report.first, 1);
    assert_int_equal(report.last, EVENTS);
    assert_true(ingot_digest_equal(&report.head, &mark.hash));
    assert_true(report.met);
}

static void an_edited_event_shows(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "names.log");
    EventMark mark = write_log(path);
    for (guint i = 0; i < EVENTS; i++) {
        g_auto(GStrv) lines = read_lines(path);
        g_autofree char *kept = g_strdup(lines[i]);
        g_free(lines[i]);
        lines[i] = edited(kept);
        write_lines(path, lines);
        assert_int_not_equal(verify(path, &mark, NULL).faults, 0);
        g_free(lines[i]);
        lines[i] = g_strdup(kept);
        write_lines(path, lines);
    }
    assert_int_equal(verify(path, &mark, NULL).faults, 0);
}

static void a_removed_event_shows(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "names.log");
    EventMark mark = write_log(path);
    g_auto(GStrv) all = read_lines(path);
    for (guint gone = 0; gone < EVENTS; gone++) {
        g_autoptr(GStrvBuilder) rest = g_strv_builder_new();
        for (guint i = 0; all[i] != NULL; i++) {
            if (i != gone) {
                g_strv_builder_add(rest, all[i]);
            }
        }
        g_auto(GStrv) lines = g_strv_builder_end(rest);
        write_lines(path, lines);
        assert_int_not_equal(verify(path, &mark, NULL).faults, 0);
    }
}

static void events_in_another_order_show(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "names.log");
    EventMark mark = write_log(path);
    g_auto(GStrv) lines = read_lines(path);
    char *second = lines[1];
    lines[1] = lines[2];
    lines[2] = second;
    write_lines(path, lines);
    assert_int_not_equal(verify(path, &mark, NULL).faults, 0);
}

/* A log that was written anew agrees with itself: the catalogue's mark, or a hash that was kept, tells. */
static void a_log_that_was_written_anew_shows_to_who_knows_it(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "names.log");
    g_autofree char *other = ingot_workdir_file(*state, "other.log");
    EventMark mark = write_log(path), anew;
    assert_true(eventlog_start(other, 0, &anew, NULL));
    g_autoptr(GPtrArray) events = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);
    g_autoptr(GString) lines = g_string_new(NULL);
    const EventMark before = anew;
    for (guint i = 0; i < EVENTS; i++) {
        g_ptr_array_add(events, json_pack("{s:s, s:s}", "op", "tag", "name", "team/anew"));
    }
    eventlog_format(lines, events, &anew);
    assert_true(eventlog_append(other, &before, lines, NULL));
    assert_int_equal(verify(other, NULL, NULL).faults, 0);
    assert_int_not_equal(verify(other, &mark, NULL).faults, 0);
    assert_int_not_equal(verify(other, NULL, &mark.hash).faults, 0);
}

static gboolean collect(const Event *event, gpointer user, GError **error)
{
    guint *next = user;
    (void)error;
    assert_non_null(event->object);
    assert_int_equal(event->number, ++*next);
    return TRUE;
}

static void all_events_are_read_in_order(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "names.log");
    guint count = 0;
    write_log(path);
    assert_true(audit_read(path, collect, &count, NULL));
    assert_int_equal(count, EVENTS);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_whole_log_has_no_fault),
        TEST(an_edited_event_shows),
        TEST(a_removed_event_shows),
        TEST(events_in_another_order_show),
        TEST(a_log_that_was_written_anew_shows_to_who_knows_it),
        TEST(all_events_are_read_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
