/* Pools: a strand keeps its order and holds one thread at most, a bound is a bound, and a pool that stops runs all that
 * it took. */
#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/http/pool.h"

/* A task that waits until it is let go. */
typedef struct {
    GMutex lock;
    GCond changed;
    gboolean open;
    guint inside, most, done;
    GString *order;
} Gate;

typedef struct {
    Gate *gate;
    char letter;
} Step;

static void gate_init(Gate *gate)
{
    *gate = (Gate){.order = g_string_new(NULL)};
    g_mutex_init(&gate->lock);
    g_cond_init(&gate->changed);
}

static void gate_clear(Gate *gate)
{
    g_string_free(gate->order, TRUE);
    g_mutex_clear(&gate->lock);
    g_cond_clear(&gate->changed);
}

static void pass(gpointer data)
{
    Step *step = data;
    Gate *gate = step->gate;
    g_mutex_lock(&gate->lock);
    gate->inside++;
    gate->most = MAX(gate->most, gate->inside);
    g_cond_broadcast(&gate->changed);
    while (!gate->open) {
        g_cond_wait(&gate->changed, &gate->lock);
    }
    g_string_append_c(gate->order, step->letter);
    gate->inside--;
    gate->done++;
    g_cond_broadcast(&gate->changed);
    g_mutex_unlock(&gate->lock);
    g_free(step);
}

static Step *step_new(Gate *gate, char letter)
{
    Step *step = g_new(Step, 1);
    *step = (Step){.gate = gate, .letter = letter};
    return step;
}

static void gate_open(Gate *gate)
{
    g_mutex_lock(&gate->lock);
    gate->open = TRUE;
    g_cond_broadcast(&gate->changed);
    g_mutex_unlock(&gate->lock);
}

static void gate_wait_inside(Gate *gate, guint count)
{
    g_mutex_lock(&gate->lock);
    while (gate->inside < count) {
        g_cond_wait(&gate->changed, &gate->lock);
    }
    g_mutex_unlock(&gate->lock);
}

/* Ten of one strand before it, and another task still has a thread. */
static void a_strand_holds_one_thread(void **state)
{
    (void)state;
    Gate strand, other;
    gate_init(&strand);
    gate_init(&other);
    WorkPool *pool = work_pool_new("test", 2, 100, NULL);
    for (char c = 'a'; c <= 'j'; c++) {
        assert_true(work_pool_push(pool, "one", pass, step_new(&strand, c)));
    }
    assert_true(work_pool_push(pool, NULL, pass, step_new(&other, 'x')));
    gate_wait_inside(&strand, 1);
    gate_wait_inside(&other, 1);
    assert_int_equal(work_pool_waiting(pool), 9);
    gate_open(&other);
    gate_open(&strand);
    work_pool_free(pool);
    assert_string_equal(strand.order->str, "abcdefghij");
    assert_int_equal(strand.most, 1);
    assert_int_equal(other.done, 1);
    gate_clear(&strand);
    gate_clear(&other);
}

static void a_bound_refuses(void **state)
{
    (void)state;
    Gate gate;
    gate_init(&gate);
    WorkPool *pool = work_pool_new("test", 1, 3, NULL);
    assert_true(work_pool_push(pool, NULL, pass, step_new(&gate, '0')));
    gate_wait_inside(&gate, 1);
    for (guint i = 0; i < 3; i++) {
        assert_true(work_pool_push(pool, NULL, pass, step_new(&gate, 'a')));
    }
    g_autofree Step *refused = step_new(&gate, 'z');
    assert_false(work_pool_push(pool, NULL, pass, refused));
    assert_true(work_pool_push_always(pool, NULL, pass, step_new(&gate, 'b')));
    assert_int_equal(work_pool_refused(pool), 1);
    gate_open(&gate);
    work_pool_stop(pool);
    assert_int_equal(gate.done, 5);
    assert_false(work_pool_push_always(pool, NULL, pass, refused));
    work_pool_free(pool);
    gate_clear(&gate);
}

/* However much room there is to wait, one strand gets a part of it. */
static void a_strand_has_a_bound(void **state)
{
    (void)state;
    Gate gate;
    gate_init(&gate);
    WorkPool *pool = work_pool_new("test", 2, 100000, NULL);
    guint taken = 0;
    Step *step = step_new(&gate, 'a');
    while (work_pool_push(pool, "one", pass, step)) {
        taken++;
        step = step_new(&gate, 'a');
    }
    assert_int_equal(taken, WORK_STRAND_MAX + 1);
    assert_true(work_pool_push(pool, "two", pass, step));
    gate_open(&gate);
    work_pool_free(pool);
    assert_int_equal(gate.done, WORK_STRAND_MAX + 2);
    gate_clear(&gate);
}

typedef struct {
    WorkPool *pool;
    gint times; /* atomic: that it has asked */
    gint ended; /* atomic */
} Asker;

/* As what waits for another machine does. */
static void ask_again(gpointer data)
{
    Asker *asker = data;
    if (g_atomic_int_add(&asker->times, 1) == 20 ||
        !work_pool_push_later(asker->pool, ask_again, asker, G_TIME_SPAN_MILLISECOND)) {
        g_atomic_int_set(&asker->ended, TRUE);
    }
}

/* Many wait for their time in a pool of one thread, and others have it meanwhile. */
static void what_waits_for_a_time_holds_no_thread(void **state)
{
    (void)state;
    Gate gate;
    gate_init(&gate);
    WorkPool *pool = work_pool_new("test", 1, 100, NULL);
    Asker askers[50], late = {.pool = pool};
    for (guint i = 0; i < G_N_ELEMENTS(askers); i++) {
        askers[i] = (Asker){.pool = pool};
        assert_true(work_pool_push_later(pool, ask_again, &askers[i], i * 100));
    }
    assert_true(work_pool_push_later(pool, ask_again, &late, G_TIME_SPAN_HOUR));
    assert_true(work_pool_push(pool, NULL, pass, step_new(&gate, 'x')));
    gate_wait_inside(&gate, 1);
    gate_open(&gate);
    for (guint i = 0; i < G_N_ELEMENTS(askers); i++) {
        while (!g_atomic_int_get(&askers[i].ended)) {
            g_usleep(1000);
        }
        assert_int_equal(askers[i].times, 21);
    }
    assert_int_equal(g_atomic_int_get(&late.times), 0);
    work_pool_stop(pool); /* it has its turn, and no further one */
    assert_int_equal(late.times, 1);
    assert_true(late.ended);
    work_pool_free(pool);
    gate_clear(&gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_strand_holds_one_thread), cmocka_unit_test(a_bound_refuses),
                                       cmocka_unit_test(a_strand_has_a_bound),
                                       cmocka_unit_test(what_waits_for_a_time_holds_no_thread)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
