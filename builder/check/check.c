#include "check/check.h"

#include <ingot/error.h>

#include "base/process.h"
#include "base/secrets.h"
#include "base/text.h"
#include "check/kinds.h"

void check_report_free(CheckReport *report)
{
    if (report != NULL) {
        g_free(report->suite);
        g_clear_pointer(&report->failures, g_ptr_array_unref);
        g_clear_pointer(&report->good, g_ptr_array_unref);
        g_clear_pointer(&report->bad, g_ptr_array_unref);
        g_free(report);
    }
}

guint16 *check_ports(const Recipe *recipe)
{
    GArray *ports = g_array_new(TRUE, TRUE, sizeof(guint16));
    const json_t *tests = json_object_get(recipe->tree, "tests");
    for (size_t i = 0; i < json_array_size(tests); i++) {
        const json_t *test = json_array_get(tests, i);
        if (check_kind(test)->port != NULL) {
            guint16 port = check_kind(test)->port(test);
            g_array_append_val(ports, port);
        }
    }
    return (guint16 *)g_array_free(ports, FALSE);
}

static char *test_title(const json_t *test)
{
    const char *name = json_string_value(json_object_get(test, "name"));
    return name != NULL ? g_strdup(name) : check_kind(test)->title(test);
}

void check_junit_case(GString *xml, const char *class_name, const char *title, double seconds, const char *reason)
{
    char time[G_ASCII_DTOSTR_BUF_SIZE];
    g_ascii_formatd(time, sizeof time, "%.3f", seconds);
    g_autofree char *name = ingot_text_line(title);
    g_autofree char *head =
        g_markup_printf_escaped("    <testcase classname=\"%s\" name=\"%s\" time=\"%s\"", class_name, name, time);
    g_string_append(xml, head);
    if (reason == NULL) {
        g_string_append(xml, "/>\n");
        return;
    }
    g_autofree char *plain = ingot_secrets_clean(reason);
    g_autofree char *failure = g_markup_printf_escaped(">\n      <failure message=\"%s\"/>\n    </testcase>\n", plain);
    g_string_append(xml, failure);
}

static char *suite_new(const Recipe *recipe, const CheckReport *report, const char *cases)
{
    g_autofree char *head = g_markup_printf_escaped("<testsuite name=\"%s\" tests=\"%u\" failures=\"%u\" errors=\"0\">",
                                                    recipe->name, report->count, report->failures->len);
    return g_strdup_printf("  %s\n%s  </testsuite>\n", head, cases);
}

char *check_junit(const char *suites)
{
    return g_strdup_printf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n%s</testsuites>\n", suites);
}

CheckReport *check_run(const Recipe *recipe, Machine *machine, Guest *guest, IngotProgress *progress, GError **error)
{
    CheckContext context = {.machine = machine, .guest = guest};
    g_autoptr(CheckReport) report = g_new0(CheckReport, 1);
    report->failures = g_ptr_array_new_with_free_func(g_free);
    report->good = g_ptr_array_new_with_free_func(g_free);
    report->bad = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GString) cases = g_string_new(NULL);
    const json_t *tests = json_object_get(recipe->tree, "tests");
    const json_t *shown = json_object_get(recipe->public_tree, "tests");
    for (size_t i = 0; i < json_array_size(tests); i++) {
        const json_t *test = json_array_get(tests, i);
        g_autofree char *title = test_title(json_array_get(shown, i));
        g_autofree char *reason = NULL;
        GError *problem = NULL;
        gint64 start = g_get_monotonic_time();
        if (!check_kind(test)->run(&context, test, &reason, &problem) && problem != NULL) {
            /* A test that cannot run, on a machine that still does, has failed: the others are worth knowing. */
            if (!machine_alive(machine, NULL) || !ingot_interrupt_check(NULL)) {
                g_propagate_prefixed_error(error, problem, "test '%s': ", title);
                return NULL;
            }
            reason = g_strdup(problem->message);
            g_clear_error(&problem);
        }
        double seconds = (double)(g_get_monotonic_time() - start) / G_USEC_PER_SEC;
        report->count++;
        /* Before it becomes XML, which spells it differently. */
        g_autofree char *masked = reason == NULL ? NULL : recipe_mask(recipe, reason);
        check_junit_case(cases, json_string_value(json_object_get(test, "kind")), title, seconds, masked);
        ingot_progress_message(progress, "  %s  %s%s%s", masked == NULL ? "ok    " : "FAILED", title,
                               masked == NULL ? "" : ": ", masked == NULL ? "" : masked);
        g_ptr_array_add(masked == NULL ? report->good : report->bad, g_strdup(title));
        if (masked != NULL) {
            g_ptr_array_add(report->failures, g_strdup_printf("%s: %s", title, masked));
        }
    }
    report->suite = suite_new(recipe, report, cases->str);
    return g_steal_pointer(&report);
}
