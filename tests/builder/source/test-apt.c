/* Which of the host's apt sources a bootstrap uses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include "source/apt.h"

static const char listing[] =
    "'http://mirror.example/debian/dists/bookworm/InRelease' mirror.example_debian_dists_bookworm_InRelease 0 \n"
    "'http://mirror.example/debian/dists/bookworm-updates/InRelease' x 0 \n"
    "'http://mirror.example/debian/dists/bookworm-backports/InRelease' x 0 \n"
    "'http://security.example/debian-security/dists/bookworm-security/InRelease' x 0 \n"
    "'https://vendor.example/apt/dists/bookworm-pgdg/InRelease' x 0 \n"
    "'http://mirror.example/debian/dists/trixie/InRelease' x 0 \n"
    "'http://mirror.example/debian/dists/bookworm/main/binary-amd64/Packages.xz' x 0 \n";

static void test_suite(void **state)
{
    (void)state;
    g_autofree char *lines = apt_select(listing, "bookworm", "main contrib");
    assert_string_equal(lines, "deb http://mirror.example/debian bookworm main contrib\n"
                               "deb http://mirror.example/debian bookworm-updates main contrib\n"
                               "deb http://security.example/debian-security bookworm-security main contrib\n");
}

static void test_other_suites(void **state)
{
    (void)state;
    g_autofree char *one = apt_select(listing, "trixie", "main");
    g_autofree char *none = apt_select(listing, "book", "main");
    assert_string_equal(one, "deb http://mirror.example/debian trixie main\n");
    assert_string_equal(none, "");
}

static void test_mirror(void **state)
{
    (void)state;
    g_autoptr(GError) error = NULL;
    g_autoptr(json_t) source = json_pack("{s:s, s:s, s:[s,s]}", "suite", "bookworm", "mirror",
                                         "http://mirror.example/d", "components", "main", "contrib");
    g_autofree char *lines = apt_sources(source, &error);
    assert_null(error);
    assert_string_equal(lines, "deb http://mirror.example/d bookworm main contrib\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_suite), cmocka_unit_test(test_other_suites),
                                       cmocka_unit_test(test_mirror)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
