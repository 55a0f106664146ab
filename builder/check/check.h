/* The check: the recipe's tests against the sealed image, booted as its users will boot it. */
#pragma once

#include <ingot/progress.h>

#include "guest/guest.h"
#include "recipe/recipe.h"

typedef struct {
    char *suite;         /* the report: a <testsuite> of JUnit XML */
    guint count;         /* tests run */
    GPtrArray *failures; /* of char *: "service nginx: inactive" */
    GPtrArray *good;     /* of char *: titles of the tests that passed */
    GPtrArray *bad;      /* … and that failed */
} CheckReport;
/* Adds one test to a suite's cases. reason: why it failed, which may hold anything that a guest prints; NULL: it did
 * not. XML has no word for most control characters, so that they are taken out. */
void check_junit_case(GString *xml, const char *class_name, const char *title, double seconds, const char *reason);
/* A whole document of suites, one after the other. Free it. */
char *check_junit(const char *suites);
void check_report_free(CheckReport *report);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CheckReport, check_report_free)

/* Guest ports that the tests speak to from outside, 0-terminated, for MachineOptions.ports. Free with g_free. */
guint16 *check_ports(const Recipe *recipe);

/* Runs all tests; a test that fails is in the report and no error. */
CheckReport *check_run(const Recipe *recipe, Machine *machine, Guest *guest, IngotProgress *progress, GError **error);
