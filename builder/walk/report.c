#include "walk/report.h"

static void step_free(gpointer data)
{
    ReportStep *step = data;
    g_free(step->title);
    g_free(step);
}

BuildReport *report_new(void)
{
    BuildReport *report = g_new0(BuildReport, 1);
    report->steps = g_ptr_array_new_with_free_func(step_free);
    return report;
}

void report_free(BuildReport *report)
{
    if (report != NULL) {
        g_ptr_array_unref(report->steps);
        g_free(report->suite);
        g_free(report);
    }
}

void report_step(BuildReport *report, const char *title, ReportState state, double seconds)
{
    if (report != NULL) {
        ReportStep *step = g_new0(ReportStep, 1);
        *step = (ReportStep){.title = g_strdup(title), .state = state, .seconds = seconds};
        g_ptr_array_add(report->steps, step);
    }
}

void report_clear_steps(BuildReport *report)
{
    if (report != NULL) {
        g_ptr_array_set_size(report->steps, 0);
    }
}

const char *report_state_word(ReportState state)
{
    static const char *const words[] = {"cached", "ran", "failed"};
    return words[state];
}
