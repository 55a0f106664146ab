/* Probes: one works an answer out for all who wait; a fresh one comes from memory, an older one while a new is made. */
#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/http/probe.h"

#define LONG (60 * G_TIME_SPAN_MINUTE)

typedef struct {
    Probe *probe;
    guint runs;
    gboolean there; /* whether somebody who asks meanwhile is answered from memory */
} Work;

static void work_out(gpointer user, ProbeAnswer *answer)
{
    Work *work = user;
    g_auto(ProbeAnswer) meanwhile = {0};
    work->there = probe_peek(work->probe, &meanwhile);
    work->runs++;
    *answer = (ProbeAnswer){.status = 200 + work->runs, .text = g_bytes_new_static("x", 1)};
}

static guint ask(Work *work, gint64 since)
{
    g_auto(ProbeAnswer) answer = {0};
    probe_ask(work->probe, since, work_out, work, &answer);
    assert_int_equal(g_bytes_get_size(answer.text), 1);
    return answer.status;
}

static void test_one_answer_serves_all_who_came_before(void **state)
{
    (void)state;
    Work work = {.probe = probe_new(0, 0)};
    gint64 came = g_get_monotonic_time();
    for (guint i = 0; i < 100; i++) {
        assert_int_equal(ask(&work, came), 201);
    }
    g_usleep(1000);
    assert_int_equal(ask(&work, g_get_monotonic_time()), 202); /* who comes later is told something newer */
    assert_int_equal(work.runs, 2);
    probe_free(work.probe);
}

static void test_a_fresh_answer_is_in_memory(void **state)
{
    (void)state;
    Work work = {.probe = probe_new(LONG, LONG)};
    g_auto(ProbeAnswer) answer = {0};
    assert_false(probe_peek(work.probe, &answer));
    ask(&work, g_get_monotonic_time());
    assert_true(probe_peek(work.probe, &answer));
    assert_int_equal(answer.status, 201);
    probe_free(work.probe);
}

static void test_an_older_one_will_do_while_another_is_made(void **state)
{
    (void)state;
    Work work = {.probe = probe_new(0, LONG)};
    g_auto(ProbeAnswer) answer = {0};
    ask(&work, g_get_monotonic_time());
    assert_false(work.there); /* there was none */
    g_usleep(1000);
    assert_false(probe_peek(work.probe, &answer)); /* nobody works, and it is not fresh */
    assert_true(probe_peek(work.probe, &answer));  /* that one is going to */
    probe_answer_clear(&answer);
    ask(&work, g_get_monotonic_time());
    assert_true(work.there);
    g_usleep(1000);
    assert_false(probe_peek(work.probe, &answer));
    probe_free(work.probe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_answer_serves_all_who_came_before),
        cmocka_unit_test(test_a_fresh_answer_is_in_memory),
        cmocka_unit_test(test_an_older_one_will_do_while_another_is_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
