/* Work that several threads share is done whole, however many of them the system gives. */
#include <dlfcn.h>
#include <glib.h>
#include <ingot/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/crew.h"
#include "format/parallel.h"

#define NUMBERS 1000u

static gint left; /* atomic: threads that the system still gives */

/* In GLib's place. */
GThread *g_thread_try_new(const char *name, GThreadFunc function, gpointer data, GError **error)
{
    static GThread *(*real)(const char *, GThreadFunc, gpointer, GError **);
    if (g_atomic_int_add(&left, -1) <= 0) {
        g_set_error(error, G_THREAD_ERROR, G_THREAD_ERROR_AGAIN, "no more");
        return NULL;
    }
    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "g_thread_try_new");
    }
    return real(name, function, data, error);
}

typedef struct {
    gint next, sum; /* atomic */
} Sum;

static gpointer add_numbers(gpointer data)
{
    Sum *sum = data;
    for (gint number; (number = g_atomic_int_add(&sum->next, 1)) < (gint)NUMBERS;) {
        g_atomic_int_add(&sum->sum, number);
    }
    return NULL;
}

static void test_any_number_of_threads_does_it_all(void **state)
{
    (void)state;
    for (gint given = 0; given < 6; given++) {
        Sum sum = {0};
        g_atomic_int_set(&left, given);
        crew_run("test", 4, add_numbers, &sum);
        assert_int_equal(sum.sum, NUMBERS * (NUMBERS - 1) / 2);
    }
}

static gboolean square(guint64 number, gpointer slot, gpointer user, GError **error)
{
    (void)user, (void)error;
    *(guint64 *)slot = number * number;
    return TRUE;
}

static gboolean append(guint64 number, gpointer slot, gpointer user, GError **error)
{
    (void)error;
    GArray *squares = user;
    assert_int_equal(squares->len, number);
    g_array_append_vals(squares, slot, 1);
    return TRUE;
}

static void test_numbered_work_keeps_its_order(void **state)
{
    (void)state;
    const ParallelWork work = {.work = square, .done = append, .slot_size = sizeof(guint64)};
    for (gint given = 0; given < 4; given++) {
        g_autoptr(GArray) squares = g_array_new(FALSE, FALSE, sizeof(guint64));
        g_atomic_int_set(&left, given);
        assert_true(parallel_run(&work, NUMBERS, squares, NULL));
        assert_int_equal(squares->len, NUMBERS);
        assert_int_equal(g_array_index(squares, guint64, NUMBERS - 1), (NUMBERS - 1) * (NUMBERS - 1));
    }
}

typedef struct {
    GMutex lock;
    GCond begun;
    guint64 last;  /* the highest number that is at work or was */
    gboolean late; /* the third has not begun */
} Overtaking;

/* The first number is at work until the third is: so the second, which has worked, waits for its turn without a thread.
 */
static gboolean wait_for_the_third(guint64 number, gpointer slot, gpointer user, GError **error)
{
    (void)slot, (void)error;
    Overtaking *overtaking = user;
    gint64 end = g_get_monotonic_time() + 60 * G_TIME_SPAN_SECOND;
    g_mutex_lock(&overtaking->lock);
    overtaking->last = MAX(overtaking->last, number);
    g_cond_broadcast(&overtaking->begun);
    while (number == 0 && overtaking->last < 2 && !overtaking->late) {
        overtaking->late = !g_cond_wait_until(&overtaking->begun, &overtaking->lock, end);
    }
    g_mutex_unlock(&overtaking->lock);
    return TRUE;
}

static gboolean do_nothing(guint64 number, gpointer slot, gpointer user, GError **error)
{
    (void)number, (void)slot, (void)user, (void)error;
    return TRUE;
}

static void test_nobody_waits_for_a_turn(void **state)
{
    (void)state;
    if (g_get_num_processors() < 2) {
        skip();
    }
    const ParallelWork work = {.work = wait_for_the_third, .done = do_nothing, .slot_size = 1};
    Overtaking overtaking = {0};
    g_atomic_int_set(&left, 1);
    assert_true(parallel_run(&work, 3, &overtaking, NULL));
    assert_false(overtaking.late);
}

/* The number that fails is the user's; nothing behind it is done. */
static gboolean square_below(guint64 number, gpointer slot, gpointer user, GError **error)
{
    const guint64 *end = user;
    if (number == *end) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "enough");
        return FALSE;
    }
    return square(number, slot, NULL, error);
}

static gboolean count_below(guint64 number, gpointer slot, gpointer user, GError **error)
{
    (void)slot, (void)error;
    assert_true(number < *(const guint64 *)user);
    return TRUE;
}

static void test_a_failure_ends_it(void **state)
{
    (void)state;
    const ParallelWork at_work = {.work = square_below, .done = count_below, .slot_size = sizeof(guint64)};
    const ParallelWork in_turn = {.work = square, .done = square_below, .slot_size = sizeof(guint64)};
    for (guint64 end = 0; end < 20; end++) {
        g_autoptr(GError) early = NULL, late = NULL;
        g_atomic_int_set(&left, 3);
        assert_false(parallel_run(&at_work, NUMBERS, &end, &early));
        assert_string_equal(early->message, "enough");
        g_atomic_int_set(&left, 3);
        assert_false(parallel_run(&in_turn, NUMBERS, &end, &late));
        assert_string_equal(late->message, "enough");
    }
}

static void test_a_thread_that_is_needed_is_an_error(void **state)
{
    (void)state;
    g_autoptr(GError) error = NULL;
    g_atomic_int_set(&left, 0);
    assert_null(crew_thread("test", add_numbers, NULL, &error));
    assert_non_null(strstr(error->message, "TasksMax"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_number_of_threads_does_it_all),
        cmocka_unit_test(test_numbered_work_keeps_its_order),
        cmocka_unit_test(test_nobody_waits_for_a_turn),
        cmocka_unit_test(test_a_failure_ends_it),
        cmocka_unit_test(test_a_thread_that_is_needed_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
