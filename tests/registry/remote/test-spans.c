/* How ranges become requests, and how many of those run at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "remote/pace.h"
#include "remote/spans.h"

#define MIB (1u << 20)

static void assert_range(IngotRange found, guint64 offset, guint64 length)
{
    assert_int_equal(found.offset, offset);
    assert_int_equal(found.length, length);
}

static void neighbours_are_asked_for_together(void **state)
{
    const IngotRange ranges[] = {{0, 100}, {150, 100}, {10000, 5}, {20 * MIB, 20 * MIB}};
    Spans spans;
    Span span;
    (void)state;
    spans_init(&spans, ranges, G_N_ELEMENTS(ranges));
    spans_take(&spans, 50, &span);
    assert_range(spans_whole(&spans, &span), 0, 250);
    spans_take(&spans, 50, &span);
    assert_range(spans_whole(&spans, &span), 10000, 5);
    for (guint64 at = 20 * MIB; at < 40 * MIB; at += 8 * MIB) { /* a long one in parts */
        spans_take(&spans, 50, &span);
        assert_range(spans_whole(&spans, &span), at, MIN(8 * MIB, 40 * MIB - at));
    }
    assert_true(spans_is_empty(&spans));
    spans_clear(&spans);
}

/* Bytes between two ranges come, and are not wanted. What is left of a span is asked for again. */
static void what_has_come_is_not_asked_for_again(void **state)
{
    const IngotRange ranges[] = {{0, 100}, {150, 100}};
    IngotRange next;
    Spans spans;
    Span span, again;
    (void)state;
    spans_init(&spans, ranges, G_N_ELEMENTS(ranges));
    spans_take(&spans, 50, &span);
    assert_true(spans_next(&spans, &span, &next));
    assert_range(next, 0, 100);
    spans_came(&spans, &span, 100);
    spans_came(&spans, &span, 30);
    spans_give_back(&spans, &span);
    spans_take(&spans, 50, &again);
    assert_range(spans_whole(&spans, &again), 180, 70);
    assert_true(spans_next(&spans, &again, &next));
    assert_range(next, 180, 70);
    spans_came(&spans, &again, 70);
    assert_false(spans_next(&spans, &again, &next));
    spans_give_back(&spans, &again);
    assert_true(spans_is_empty(&spans));
    spans_clear(&spans);
}

/* Of what was taken, what has not come is left with what was not; a span that was given back is empty. */
static void what_is_left_ascends(void **state)
{
    const IngotRange ranges[] = {{0, 100}, {1000, 100}, {2000, 100}};
    Spans spans;
    Span one, other;
    (void)state;
    spans_init(&spans, ranges, G_N_ELEMENTS(ranges));
    spans_take(&spans, 0, &one);
    spans_take(&spans, 0, &other);
    spans_came(&spans, &one, 30);
    spans_give_back(&spans, &other);
    spans_give_back(&spans, &one);
    spans_give_back(&spans, &one);
    g_autoptr(GArray) left = spans_left(&spans);
    assert_int_equal(left->len, 3);
    assert_range(g_array_index(left, IngotRange, 0), 30, 70);
    assert_range(g_array_index(left, IngotRange, 1), 1000, 100);
    assert_range(g_array_index(left, IngotRange, 2), 2000, 100);
    spans_clear(&spans);
}

static void a_list_has_a_bound(void **state)
{
    g_autofree IngotRange *ranges = g_new(IngotRange, SPANS_LIST_MAX + 10);
    Spans spans;
    Span span;
    guint64 bytes, entry[2];
    (void)state;
    for (guint i = 0; i < SPANS_LIST_MAX + 10; i++) {
        ranges[i] = (IngotRange){.offset = i * 100, .length = 7};
    }
    ranges[SPANS_LIST_MAX + 9].offset = 0; /* it lies before the others, so no list has it behind them */
    spans_init(&spans, ranges, SPANS_LIST_MAX + 10);
    for (guint first = 0; first < SPANS_LIST_MAX + 10; first = span.end) {
        spans_take_list(&spans, &span);
        assert_int_equal(span.end, first == 0                ? SPANS_LIST_MAX
                                   : first == SPANS_LIST_MAX ? SPANS_LIST_MAX + 9
                                                             : first + 1);
        g_autoptr(GByteArray) list = spans_list(&spans, &span, &bytes);
        assert_int_equal(list->len, (span.end - first) * SPANS_ENTRY);
        assert_int_equal(bytes, (span.end - first) * 7);
        memcpy(entry, list->data, sizeof entry);
        assert_int_equal(GUINT64_FROM_LE(entry[0]), ranges[first].offset);
        assert_int_equal(GUINT64_FROM_LE(entry[1]), 7);
    }
    spans_clear(&spans);
}

/* 50 ms and 12.5 MB/s: 625 kB are on their way at once. */
static void a_far_registry_is_asked_for_more_at_once(void **state)
{
    Pace pace = {0};
    (void)state;
    assert_int_equal(pace_gap(&pace), 16u << 10);
    assert_true(pace_wants_more(&pace, 3, MIB));
    assert_false(pace_wants_more(&pace, 4, 0)); /* nothing is known of the link */
    pace_answered(&pace, 80000);
    pace_answered(&pace, 50000);
    pace_answered(&pace, 0);
    for (gint64 now = 1; now < G_USEC_PER_SEC; now += 10000) {
        pace_came(&pace, now, 125000);
    }
    assert_in_range(pace.rate, 12400000, 12600000);
    assert_in_range(pace_gap(&pace), 38000, 40000);
    assert_true(pace_wants_more(&pace, 4, 200000)); /* small ranges: the link waits for requests */
    assert_true(pace_wants_more(&pace, 15, 200000));
    assert_false(pace_wants_more(&pace, 16, 200000));
    assert_false(pace_wants_more(&pace, 4, 4 * MIB)); /* large ones: it is full */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_are_asked_for_together),
        cmocka_unit_test(what_has_come_is_not_asked_for_again),
        cmocka_unit_test(what_is_left_ascends),
        cmocka_unit_test(a_list_has_a_bound),
        cmocka_unit_test(a_far_registry_is_asked_for_more_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
