/* Reading ahead is bounded together, and each answer has its share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/http/ahead.h"

#define LEAST 4096
#define FAR ((guint64)1 << 40)

static void all_together_are_bounded(void **state)
{
    gsize sum = 0, one;
    guint count = 0;
    (void)state;
    while ((one = ahead_begin(LEAST, FAR, 1)) > 0) {
        assert_int_equal(one, AHEAD_ONE);
        sum += one;
        count++;
    }
    assert_int_equal(sum, AHEAD_MAX);
    ahead_end(AHEAD_ONE);
    assert_int_equal(ahead_begin(LEAST, FAR, 1), AHEAD_ONE);
    for (guint i = 0; i < count; i++) {
        ahead_end(AHEAD_ONE);
    }
}

static void each_has_its_share(void **state)
{
    static const guint crowds[] = {64, 150, 1024, 4096};
    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(crowds); i++) {
        gsize one = ahead_begin(LEAST, FAR, crowds[i]);
        assert_int_equal(one, AHEAD_MAX / crowds[i]);
        ahead_end(one);
    }
    assert_int_equal(ahead_begin(LEAST, FAR, AHEAD_MAX), 0);
    assert_int_equal(ahead_begin(LEAST, LEAST, 1), 0); /* a range ends where it ends */
    assert_int_equal(ahead_begin(LEAST, LEAST + 1, 1), LEAST + 1);
    ahead_end(LEAST + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_together_are_bounded),
        cmocka_unit_test(each_has_its_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
