/* What a build has done, for whoever started it: each stage, and the tests; also of a build that failed.
 *
 * It belongs to the thread that builds until the build has ended. All functions accept NULL for the report. */
#pragma once

#include <glib.h>

typedef enum { REPORT_CACHED, REPORT_RAN, REPORT_FAILED } ReportState;

typedef struct {
    char *title; /* no secret is in it */
    ReportState state;
    double seconds; /* that it took; of a cached one, when it ran */
} ReportStep;

typedef struct {
    GPtrArray *steps; /* of ReportStep, in order */
    gboolean tested;  /* the tests have run; they passed, unless the build failed */
    char *suite;      /* the tests as a <testsuite> of JUnit XML; NULL: none ran */
    guint failures;   /* of the tests */
} BuildReport;

BuildReport *report_new(void);
void report_free(BuildReport *report);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BuildReport, report_free)

void report_step(BuildReport *report, const char *title, ReportState state, double seconds);
/* The walk begins again from another node. */
void report_clear_steps(BuildReport *report);
const char *report_state_word(ReportState state); /* "cached", "ran", "failed" */
