/* Versions as Vagrant reads and orders them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include "vagrant/version.h"

static void test_readable(void **state)
{
    static const struct {
        const char *version;
        gboolean readable;
    } cases[] = {
        {"1", TRUE},          {"1.2", TRUE},         {"2004.01", TRUE},       {"20241002.0.0", TRUE},
        {"1.0.0-rc.1", TRUE}, {"1.0.0.beta1", TRUE}, {"1.0.0-a-b.c", TRUE},   {"1.0.0--", TRUE},
        {"", FALSE},          {"v1.0.0", FALSE},     {"latest", FALSE},       {"1..0", FALSE},
        {"1.0.", FALSE},      {"1.0.0-", FALSE},     {"1.0.0-rc..1", FALSE},  {"1.0.0-rc.", FALSE},
        {"1.0.0_1", FALSE},   {"1.0.0-rc_1", FALSE}, {"1a", FALSE},           {"1.0.0+1", FALSE},
        {"1.0.0 ", FALSE},    {"1.0.0-.1", FALSE},   {"1.0.\xc3\xa4", FALSE},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        if (vagrant_version_is_readable(cases[i].version) != cases[i].readable) {
            fail_msg("'%s'", cases[i].version);
        }
    }
}

static int sign(int number)
{
    return (number > 0) - (number < 0);
}

static void test_order(void **state)
{
    static const struct {
        const char *a, *b;
        int order;
    } cases[] = {
        {"1.0.0", "1.0.0", 0},
        {"1.0", "1.0.0", 0},
        {"1.2", "1.10", -1},
        {"1.0.0-rc.1", "1.0.0", -1},
        {"1.0.0-rc.9", "1.0.0-rc.10", -1},
        {"1.0.0.beta1", "1.0.0", -1},
        {"2004.01", "2004.1", 0},
        {"20240101120000.0.0", "9.9.9", 1},
        {"1.0.0-rc", "1.0.0-beta", 1},
        {"1.0.1-rc.1", "1.0.0", 1},
        {"1.0.0.1", "1.0.0", 1},
        {"1.0.0-1", "1.0.0", -1},
        {"00000000000000000000000001", "1", 0},
        {"100000000000000000000000000", "99999999999999999999999999", 1},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        if (sign(vagrant_version_compare(cases[i].a, cases[i].b)) != cases[i].order ||
            sign(vagrant_version_compare(cases[i].b, cases[i].a)) != -cases[i].order) {
            fail_msg("'%s', '%s'", cases[i].a, cases[i].b);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_readable), cmocka_unit_test(test_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
