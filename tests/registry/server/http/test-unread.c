/* Answers that nobody reads: one network's clients take a quarter of the room, and what is shared counts once. */
#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/http/unread.h"

#define PART (UNREAD_MAX / 16)

static GBytes *bytes_of(gsize size)
{
    return g_bytes_new_take(g_malloc0(size), size);
}

/* As many fresh answers as the network gets; they are in `held`. */
static guint fill(guint64 network, gsize size, GPtrArray *held)
{
    for (guint count = 0;; count++) {
        g_autoptr(GBytes) bytes = bytes_of(size);
        Unread *unread = unread_begin(network, bytes);
        if (unread == NULL) {
            return count;
        }
        g_ptr_array_add(held, unread);
    }
}

static void test_a_network_has_a_quarter(void **state)
{
    (void)state;
    g_autoptr(GPtrArray) one = g_ptr_array_new_with_free_func(unread_end);
    g_autoptr(GPtrArray) others = g_ptr_array_new_with_free_func(unread_end);
    assert_int_equal(fill(1, PART, one), 4);
    for (guint64 network = 2; network < 5; network++) {
        assert_int_equal(fill(network, PART, others), network < 4 ? 4 : 3);
    }
    assert_int_equal(fill(5, PART, others), 0); /* three quarters of what is left are less than that */
    assert_true(fill(5, PART / 16, others) > 0);
    g_ptr_array_set_size(one, 0);
    assert_int_equal(fill(6, PART, others), 3);
}

/* However much each takes at once, there is something left for one that comes behind them. */
static void test_there_is_room_for_another(void **state)
{
    (void)state;
    g_autoptr(GPtrArray) held = g_ptr_array_new_with_free_func(unread_end);
    gsize left = UNREAD_MAX;
    assert_int_equal(fill(1, UNREAD_LONGEST, held), 1);
    left -= UNREAD_LONGEST;
    for (guint64 network = 2; network < 6; network++) {
        assert_int_equal(fill(network, SHARE_OF(left) + 4096, held), 0);
        assert_int_equal(fill(network, SHARE_OF(left), held), 1);
        left -= SHARE_OF(left);
        assert_true(left > UNREAD_SHORT);
    }
}

static void test_one_large_answer_is_given(void **state)
{
    (void)state;
    g_autoptr(GPtrArray) held = g_ptr_array_new_with_free_func(unread_end);
    assert_int_equal(fill(1, UNREAD_MAX / 2, held), 1);
    assert_int_equal(fill(2, PART, held), 4);
}

static void test_who_can_not_be_told_apart_has_the_whole(void **state)
{
    (void)state;
    g_autoptr(GPtrArray) held = g_ptr_array_new_with_free_func(unread_end);
    assert_int_equal(fill(0, PART, held), 16);
}

static void test_shared_and_short_answers(void **state)
{
    (void)state;
    g_autoptr(GPtrArray) held = g_ptr_array_new_with_free_func(unread_end);
    g_autoptr(GBytes) shared = bytes_of(UNREAD_MAX / 4), little = bytes_of(UNREAD_SHORT);
    for (guint i = 0; i < 1000; i++) {
        Unread *unread = unread_begin(1 + i % 2, shared);
        assert_non_null(unread);
        g_ptr_array_add(held, unread);
    }
    assert_int_equal(fill(1, PART, held), 0);
    Unread *unread = unread_begin(1, little);
    assert_non_null(unread);
    unread_end(unread);
    assert_int_equal(fill(3, PART, held), 4);
    g_ptr_array_set_size(held, 0);
    assert_int_equal(fill(1, PART, held), 4);
}

/* The room is there before the work is done, and only once. */
static void test_room_is_kept(void **state)
{
    (void)state;
    g_autoptr(GPtrArray) held = g_ptr_array_new_with_free_func(unread_end);
    g_autoptr(GBytes) bytes = bytes_of(PART);
    for (Unread *one; (one = unread_reserve(1, PART)) != NULL;) {
        g_ptr_array_add(held, one);
    }
    assert_true(held->len > 0);
    assert_null(unread_begin(1, bytes));
    g_ptr_array_remove_index(held, 0);
    Unread *answer = unread_begin(1, bytes);
    assert_non_null(answer);
    unread_end(answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_network_has_a_quarter),
        cmocka_unit_test(test_one_large_answer_is_given),
        cmocka_unit_test(test_there_is_room_for_another),
        cmocka_unit_test(test_who_can_not_be_told_apart_has_the_whole),
        cmocka_unit_test(test_shared_and_short_answers),
        cmocka_unit_test(test_room_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
