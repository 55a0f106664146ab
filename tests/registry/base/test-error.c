/* Errors: the code follows from errno, the exit status from the code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include <ingot/error.h>

static void test_errno(void **state)
{
    static const struct {
        int errnum;
        IngotError code;
    } cases[] = {
        {ENOENT, INGOT_ERROR_NOT_FOUND}, {EEXIST, INGOT_ERROR_EXISTS},   {EACCES, INGOT_ERROR_DENIED},
        {ENOSPC, INGOT_ERROR_NO_SPACE},  {EDQUOT, INGOT_ERROR_NO_SPACE}, {ECONNREFUSED, INGOT_ERROR_NETWORK},
        {EIO, INGOT_ERROR_FAILED},
    };

    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *expected = g_strdup_printf("web.yaml: cannot open: %s", g_strerror(cases[i].errnum));
        assert_false(ingot_error_set_errno(&error, cases[i].errnum, "%s: cannot open", "web.yaml"));
        assert_true(g_error_matches(error, INGOT_ERROR, (int)cases[i].code));
        assert_string_equal(error->message, expected);
    }
}

static void test_exit_status(void **state)
{
    g_autoptr(GError) invalid = g_error_new(INGOT_ERROR, INGOT_ERROR_INVALID, "x");
    g_autoptr(GError) interrupted = g_error_new(INGOT_ERROR, INGOT_ERROR_INTERRUPTED, "x");
    g_autoptr(GError) failed = g_error_new(INGOT_ERROR, INGOT_ERROR_NETWORK, "x");

    (void)state;
    assert_int_equal(ingot_error_exit_status(NULL), 0);
    assert_int_equal(ingot_error_exit_status(invalid), 2);
    assert_int_equal(ingot_error_exit_status(interrupted), 130);
    assert_int_equal(ingot_error_exit_status(failed), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errno),
        cmocka_unit_test(test_exit_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
