/* Maintenance windows: days, hours past midnight, zones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glib.h>

#include "cli/follow/window.h"

#define HOUR 3600

static gint64 at(const char *date)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(date, NULL);
    assert_non_null(time);
    return g_date_time_to_unix(time);
}

static gint64 wait_of(const char *window, const char *date)
{
    g_autoptr(GArray) windows = windows_new();
    assert_true(windows_add(windows, window, NULL));
    return windows_wait(windows, at(date));
}

static void test_hours(void **state)
{
    (void)state;
    assert_int_equal(wait_of("22:00-04:00 UTC", "2026-11-30T22:00:00Z"), 0);
    assert_int_equal(wait_of("22:00-04:00 UTC", "2026-12-01T03:59:59Z"), 0);
    assert_int_equal(wait_of("22:00-04:00 UTC", "2026-12-01T04:00:00Z"), 18 * HOUR);
    assert_int_equal(wait_of("22:00-04:00 UTC", "2026-12-01T21:59:30Z"), 30);
    assert_int_equal(wait_of("00:00-24:00 UTC", "2026-12-01T23:59:59Z"), 0);
}

static void test_days(void **state)
{
    (void)state;
    /* 2026-11-30 is a Monday. */
    assert_int_equal(wait_of("Mon 22:00-04:00 UTC", "2026-12-01T03:00:00Z"), 0); /* Monday's */
    assert_int_equal(wait_of("Tue 22:00-04:00 UTC", "2026-12-01T03:00:00Z"), 19 * HOUR);
    assert_int_equal(wait_of("sat,Sun 10:00-11:00 UTC", "2026-11-30T10:00:00Z"), 5 * 24 * HOUR);
    assert_int_equal(wait_of("Fri-Mon 10:00-11:00 UTC", "2026-11-30T10:30:00Z"), 0);
}

static void test_zones(void **state)
{
    (void)state;
    assert_int_equal(wait_of("22:00-23:00 +02:00", "2026-11-30T20:00:00Z"), 0);
    assert_int_equal(wait_of("22:00-23:00 +02:00", "2026-11-30T21:00:00Z"), 23 * HOUR);
}

static void test_any_of_them(void **state)
{
    (void)state;
    g_autoptr(GArray) windows = windows_new();
    assert_int_equal(windows_wait(windows, at("2026-11-30T12:00:00Z")), 0); /* none: always */
    assert_true(windows_add(windows, "01:00-02:00 UTC", NULL));
    assert_true(windows_add(windows, "13:00-14:00 UTC", NULL));
    assert_int_equal(windows_wait(windows, at("2026-11-30T12:00:00Z")), HOUR);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "noon",
                                      "Mon",
                                      "Foo 10:00-11:00",
                                      "10:00-25:00",
                                      "10:00-11:60",
                                      "10:00",
                                      "24:00-25:00",
                                      "10:00-11:00x",
                                      "10:00-11:00 UTC more",
                                      "10:00-11:00 Nowhere/City"};
    g_autoptr(GArray) windows = windows_new();
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        if (windows_add(windows, bad[i], &error)) {
            fail_msg("'%s' is taken", bad[i]);
        }
        assert_non_null(error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hours), cmocka_unit_test(test_days),
                                       cmocka_unit_test(test_zones), cmocka_unit_test(test_any_of_them),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
