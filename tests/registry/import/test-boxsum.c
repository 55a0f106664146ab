/* Checksums of boxes: of the five kinds that catalogues have, and of no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ingot/error.h>
#include <string.h>

#include "base/file.h"
#include "import/boxsum.h"

static int set_up(void **state)
{
    IngotWorkdir *workdir = ingot_workdir_new(NULL);
    g_autofree char *path = ingot_workdir_file(workdir, "box");
    *state = workdir;
    return workdir == NULL || !g_file_set_contents(path, "abc", 3, NULL);
}

static int tear_down(void **state)
{
    ingot_workdir_free(*state);
    return 0;
}

/* Of "abc", as the standards have them (RFC 1321, FIPS 180). */
static const struct {
    const char *type, *hex;
} sums[] = {
    {"md5", "900150983cd24fb0d6963f7d28e17f72"},
    {"sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"},
    {"sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"sha384", "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"},
    {"sha512", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
               "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"}};

static void each_kind_is_compared(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "box");
    for (guint i = 0; i < G_N_ELEMENTS(sums); i++) {
        g_auto(BoxSum) sum = {0}, other = {0};
        g_autofree char *wrong = g_strdup(sums[i].hex);
        g_autoptr(GError) error = NULL;
        wrong[3] = wrong[3] == '0' ? '1' : '0';
        assert_true(box_sum_parse(sums[i].type, sums[i].hex, "a box", &sum, NULL));
        assert_true(box_sum_check(&sum, path, "a box", NULL));
        assert_true(box_sum_parse(sums[i].type, wrong, "a box", &other, NULL));
        assert_false(box_sum_check(&other, path, "a box", &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
        assert_non_null(strstr(error->message, sums[i].hex));
    }
}

static void no_other_is_taken(void **state)
{
    static const struct {
        const char *type, *hex, *why;
    } cases[] = {{"crc32", "352441c2", "of type 'crc32'"},
                 {"sha3-256", "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532", "of type 'sha3-256'"},
                 {"md5", "900150983cd24fb0d6963f7d28e17f7", "not a md5"},
                 {"md5", "900150983cd24fb0d6963f7d28e17f720", "not a md5"},
                 {"md5", "900150983cd24fb0d6963f7d28e17f7g", "not a md5"},
                 {"sha256", "", "not a sha256"}};
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(BoxSum) sum = {0};
        g_autoptr(GError) error = NULL;
        assert_false(box_sum_parse(cases[i].type, cases[i].hex, "a box", &sum, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        assert_non_null(strstr(error->message, cases[i].why));
    }
}

static void without_one_a_file_is_what_it_is(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "box");
    g_auto(BoxSum) sum = {0};
    assert_true(box_sum_parse(NULL, NULL, "a box", &sum, NULL));
    assert_true(box_sum_check(&sum, path, "a box", NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_kind_is_compared), cmocka_unit_test(no_other_is_taken),
                                       cmocka_unit_test(without_one_a_file_is_what_it_is)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
