/* What is idle is had again, by whom it fits; what is too much is freed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include "base/idle.h"

static guint freed;

static void count(gpointer thing)
{
    (void)thing;
    freed++;
}

static gboolean same(gconstpointer thing, gconstpointer wanted)
{
    return thing == wanted;
}

static void test_take(void **state)
{
    (void)state;
    Idle idle = IDLE_INIT(count);
    freed = 0;
    assert_null(idle_take(&idle, NULL, NULL));
    for (guint i = 1; i <= 3; i++) {
        idle_give(&idle, GUINT_TO_POINTER(i));
    }
    assert_null(idle_take(&idle, same, GUINT_TO_POINTER(4)));
    assert_int_equal(GPOINTER_TO_UINT(idle_take(&idle, same, GUINT_TO_POINTER(2))), 2);
    assert_null(idle_take(&idle, same, GUINT_TO_POINTER(2)));
    assert_int_equal(GPOINTER_TO_UINT(idle_take(&idle, NULL, NULL)), 1);
    idle_clear(&idle);
    assert_int_equal(freed, 1);
}

static void test_too_many(void **state)
{
    (void)state;
    Idle idle = IDLE_INIT(count);
    freed = 0;
    for (guint i = 1; i <= IDLE_MAX + 2; i++) {
        idle_give(&idle, GUINT_TO_POINTER(i));
    }
    assert_int_equal(freed, 2);
    assert_int_equal(GPOINTER_TO_UINT(idle_take(&idle, NULL, NULL)), 3);
    idle_clear(&idle);
    assert_int_equal(freed, IDLE_MAX + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_take), cmocka_unit_test(test_too_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
