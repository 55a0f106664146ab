/* Keys take turns, and the largest crowd pays for what does not fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/auth/fairqueue.h"

/* A thing is "KEY NUMBER". */
static const char *push(FairQueue *queue, const char *thing)
{
    return fairqueue_push(queue, (guint64)thing[0], (gpointer)thing);
}

static void keys_take_turns(void **state)
{
    static const char *const in[] = {"a1", "a2", "a3", "b1", "c1", "c2", NULL};
    static const char *const out[] = {"a1", "b1", "c1", "a2", "c2", "a3", NULL};
    FairQueue *queue = fairqueue_new(10);
    (void)state;
    for (guint i = 0; in[i] != NULL; i++) {
        assert_null(push(queue, in[i]));
    }
    for (guint i = 0; out[i] != NULL; i++) {
        assert_string_equal(fairqueue_pop(queue), out[i]);
    }
    assert_null(fairqueue_pop(queue));
    fairqueue_free(queue);
}

static void the_largest_pays(void **state)
{
    static const char *const out[] = {"a1", "b1", "c1", NULL};
    FairQueue *queue = fairqueue_new(3);
    (void)state;
    assert_null(push(queue, "a1"));
    assert_null(push(queue, "a2"));
    assert_null(push(queue, "a3"));
    assert_string_equal(push(queue, "a4"), "a4");
    assert_string_equal(push(queue, "b1"), "a3");
    assert_string_equal(push(queue, "c1"), "a2");
    assert_string_equal(push(queue, "c2"), "c2");
    for (guint i = 0; out[i] != NULL; i++) {
        assert_string_equal(fairqueue_pop(queue), out[i]);
    }
    assert_null(fairqueue_pop(queue));
    fairqueue_free(queue);
}

/* Each has one: the newest is turned away. */
static void all_alike(void **state)
{
    FairQueue *queue = fairqueue_new(2);
    (void)state;
    assert_null(push(queue, "a1"));
    assert_null(push(queue, "b1"));
    const char *away = push(queue, "c1");
    assert_non_null(away);
    guint left = 0;
    while (fairqueue_pop(queue) != NULL) {
        left++;
    }
    assert_int_equal(left, 2);
    fairqueue_free(queue);
}

static gboolean is_second(gpointer thing, gpointer user)
{
    (void)user;
    return ((const char *)thing)[1] == '2';
}

/* Whoever was served comes behind the others, whatever of its things that was. */
static void one_that_fits(void **state)
{
    static const char *const out[] = {"b1", "a1", "c1", NULL};
    FairQueue *queue = fairqueue_new(9);
    (void)state;
    assert_null(push(queue, "a1"));
    assert_null(push(queue, "a2"));
    assert_null(push(queue, "b1"));
    assert_string_equal(fairqueue_take(queue, is_second, NULL), "a2");
    assert_null(fairqueue_take(queue, is_second, NULL));
    assert_null(push(queue, "c1"));
    for (guint i = 0; out[i] != NULL; i++) {
        assert_string_equal(fairqueue_pop(queue), out[i]);
    }
    fairqueue_free(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_take_turns),
        cmocka_unit_test(the_largest_pays),
        cmocka_unit_test(all_alike),
        cmocka_unit_test(one_that_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
