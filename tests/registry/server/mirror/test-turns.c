/* Turns: readers of one upstream leave threads to those of another, and go in the order in which they came. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/mirror/turns.h"

#define UPSTREAMS 4
#define READERS 200

static char readers[UPSTREAMS][READERS];

/* How many of an upstream's readers have a turn at once. */
static guint fill(Turns *turns, guint upstream)
{
    guint count = 0;
    for (guint i = 0; i < READERS; i++) {
        count += turns_begin(turns, &readers[upstream][i]) != FALSE;
    }
    return count;
}

static void no_upstream_takes_all(void **state)
{
    Turns *all[UPSTREAMS];
    guint counts[UPSTREAMS], sum = 0;
    (void)state;
    for (guint i = 0; i < UPSTREAMS; i++) {
        all[i] = turns_new();
        counts[i] = fill(all[i], i);
        assert_true(counts[i] > 0);
        assert_true(i == 0 || counts[i] <= counts[i - 1]);
        sum += counts[i];
    }
    assert_int_equal(counts[0], TURNS_MOST * 2 / 3);
    assert_true(sum <= TURNS_MOST);
    for (guint i = 0; i < UPSTREAMS; i++) {
        for (guint k = 0; k < counts[i]; k++) {
            turns_end(all[i]);
        }
        turns_free(all[i]);
    }
}

static void who_came_first_goes_first(void **state)
{
    Turns *turns = turns_new();
    (void)state;
    guint count = fill(turns, 0), last = READERS - 1, first = count;
    turns_end(turns);
    assert_false(turns_begin(turns, &readers[0][last]));
    assert_true(turns_begin(turns, &readers[0][first]));
    assert_false(turns_begin(turns, &readers[0][first + 1])); /* there is no other */
    for (guint i = first + 1; i < last; i++) {
        turns_leave(turns, &readers[0][i]);
    }
    turns_end(turns);
    assert_true(turns_begin(turns, &readers[0][last]));
    for (guint i = 0; i < count; i++) {
        turns_end(turns);
    }
    turns_free(turns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_upstream_takes_all),
        cmocka_unit_test(who_came_first_goes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
