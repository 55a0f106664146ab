/* Passwords: kept as yescrypt, right and wrong ones, as dear for nobody as for somebody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "server/auth/password.h"

static void rules(void **state)
{
    (void)state;
    g_autofree char *longest = g_strnfill(511, 'a'), *beyond = g_strnfill(512, 'a');
    assert_false(password_check("", NULL));
    assert_false(password_check("1234567", NULL));
    assert_true(password_check("12345678", NULL));
    assert_true(password_check("äöüäöüäö", NULL));
    assert_false(password_check("äöüä", NULL)); /* eight bytes */
    assert_false(password_check("\xff\xff\xff\xff\xff\xff\xff\xff", NULL));
    assert_true(password_check(longest, NULL));
    assert_false(password_check(beyond, NULL));
}

static void right_and_wrong(void **state)
{
    (void)state;
    g_autofree char *hash = password_hash("correct horse", NULL), *again = password_hash("correct horse", NULL);
    assert_true(g_str_has_prefix(hash, "$y$"));
    assert_string_not_equal(hash, again);
    assert_true(password_verify("correct horse", hash));
    assert_true(password_verify("correct horse", again));
    assert_false(password_verify("correct horsf", hash));
    assert_false(password_verify("", hash));
    assert_false(password_verify("correct horse", "*0"));
    assert_false(password_verify("correct horse", ""));
    assert_false(password_verify("correct horse", "nonsense"));
    g_autofree char *cut = g_strndup(hash, 20);
    assert_false(password_verify("correct horse", cut));
}

/* Of the processor alone, in microseconds: what else runs on the machine doesn't count. */
static gint64 cost(const char *hash)
{
    struct timespec start, end;
    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start), 0);
    assert_false(password_verify("wrong password", hash));
    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end), 0);
    return (end.tv_sec - start.tv_sec) * G_USEC_PER_SEC + (end.tv_nsec - start.tv_nsec) / 1000;
}

/* A look-up that ends early costs a ten-thousandth. */
static void nobody_costs_the_same(void **state)
{
    (void)state;
    g_autofree char *hash = password_hash("correct horse", NULL);
    gint64 somebody = cost(hash);
    assert_true(somebody > G_USEC_PER_SEC / 100);
    assert_true(cost(NULL) > somebody / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules),
        cmocka_unit_test(right_and_wrong),
        cmocka_unit_test(nobody_costs_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
