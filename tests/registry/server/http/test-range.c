/* Range headers: RFC 9110's grammar, its edges, and what is not worth an answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/http/range.h"

#define SIZE 1000

/* "10+5 0+1", or "whole" or "none". */
static void expect(const char *header, const char *expected)
{
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(ByteRange));
    g_autoptr(GString) text = g_string_new(NULL);
    switch (range_parse(header, SIZE, ranges)) {
    case RANGE_WHOLE:
        g_string_assign(text, "whole");
        break;
    case RANGE_UNSATISFIABLE:
        g_string_assign(text, "none");
        break;
    default:
        for (guint i = 0; i < ranges->len; i++) {
            const ByteRange *one = &g_array_index(ranges, ByteRange, i);
            g_string_append_printf(text, "%s%" G_GUINT64_FORMAT "+%" G_GUINT64_FORMAT, i == 0 ? "" : " ", one->offset,
                                   one->length);
        }
    }
    if (!g_str_equal(text->str, expected)) {
        fail_msg("'%s' is %s, not %s", header, text->str, expected);
    }
}

static void one_range(void **state)
{
    (void)state;
    expect("bytes=0-0", "0+1");
    expect("bytes=10-19", "10+10");
    expect("bytes=999-", "999+1");
    expect("bytes=990-5000", "990+10");
    expect("bytes=-5", "995+5");
    expect("bytes=-5000", "0+1000");
    expect("Bytes= 1-2 ", "1+2");
}

static void several_ranges_keep_their_order(void **state)
{
    (void)state;
    expect("bytes=500-599, 0-9,-1", "500+100 0+10 999+1");
    expect("bytes=0-0,1000-,5-5", "0+1 5+1");
}

static void outside_of_the_blob(void **state)
{
    (void)state;
    expect("bytes=1000-", "none");
    expect("bytes=-0", "none");
    expect("bytes=1000-1001,2000-", "none");
    expect("bytes=5-4", "none");
    expect("bytes=18446744073709551615-", "none");
}

static void what_is_no_range_is_the_whole(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",           "bytes",       "bytes=",        "bytes=-",     "bytes=5",
        "bytes=a-b",  "bytes=1-2x",  "items=0-1",     "bytes=0-1,",  "bytes=+1-2",
        "bytes=1--2", "bytes=0x1-2", "bytes=0-1;2-3", "bytes=0-\v1", "bytes=99999999999999999999-"};
    expect(NULL, "whole");
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        expect(texts[i], "whole");
    }
}

static void more_than_there_is(void **state)
{
    (void)state;
    expect("bytes=0-999,0-0", "whole");
    g_autoptr(GString) many = g_string_new("bytes=0-0");
    for (guint i = 1; i < RANGES_MAX; i++) {
        g_string_append(many, ",1000-");
    }
    expect(many->str, "0+1");
    g_string_append(many, ",1000-");
    expect(many->str, "whole");
    /* A sum that wraps round is no smaller than the blob. */
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(ByteRange));
    assert_int_equal(range_parse("bytes=0-,0-,0-", G_GUINT64_CONSTANT(1) << 63, ranges), RANGE_WHOLE);
}

static void what_an_upload_brings(void **state)
{
    (void)state;
    ByteRange range;
    assert_true(range_parse_content("0-0", &range));
    assert_int_equal(range.offset, 0);
    assert_int_equal(range.length, 1);
    assert_true(range_parse_content("100-299", &range));
    assert_int_equal(range.offset, 100);
    assert_int_equal(range.length, 200);
    static const char *const texts[] = {
        "",     "-",    "5",     "5-",    "-5",      "5-4",     " 0-1",       "0-1 ",
        "+0-1", "0--1", "0-1-2", "\v0-1", "0-1/100", "0x0-0x1", "bytes 0-99", "0-9223372036854775807"};
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        if (range_parse_content(texts[i], &range)) {
            fail_msg("'%s' was taken", texts[i]);
        }
    }
}

/* A list of so many pairs of offset and length, of a blob of 1000 bytes: "0+1 5+5", or "refused". */
static void expect_list(const guint64 *numbers, gsize size, const char *expected)
{
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(ByteRange));
    g_autofree guint64 *list = g_new0(guint64, 16);
    g_autoptr(GString) found = g_string_new(NULL);
    for (gsize i = 0; i < size / sizeof *numbers; i++) {
        list[i] = GUINT64_TO_LE(numbers[i]);
    }
    if (!range_parse_list((const guint8 *)list, size, 1000, ranges)) {
        assert_string_equal("refused", expected);
        return;
    }
    for (guint i = 0; i < ranges->len; i++) {
        const ByteRange *range = &g_array_index(ranges, ByteRange, i);
        g_string_append_printf(found, "%s%" G_GUINT64_FORMAT "+%" G_GUINT64_FORMAT, i == 0 ? "" : " ", range->offset,
                               range->length);
    }
    assert_string_equal(found->str, expected);
}

/* They ascend, so all together they are no longer than the blob. */
static void a_list_of_ranges(void **state)
{
    static const guint64 rows[][4] = {{0, 1, 1, 999},  {0, 10, 9, 1},   {5, 5, 0, 1},           {0, 0, 1, 1},
                                      {0, 1, 1000, 1}, {0, 1, 1, 1000}, {1, G_MAXUINT64, 2, 1}, {G_MAXUINT64, 1, 0, 1}};
    (void)state;
    expect_list(rows[0], 32, "0+1 1+999");
    expect_list(rows[0], 16, "0+1");
    expect_list(rows[0], 31, "refused");
    expect_list(rows[0], 8, "refused");
    expect_list(rows[0], 0, "refused");
    for (guint i = 1; i < G_N_ELEMENTS(rows); i++) {
        expect_list(rows[i], 32, "refused");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_range),           cmocka_unit_test(several_ranges_keep_their_order),
        cmocka_unit_test(outside_of_the_blob), cmocka_unit_test(what_is_no_range_is_the_whole),
        cmocka_unit_test(more_than_there_is),  cmocka_unit_test(what_an_upload_brings),
        cmocka_unit_test(a_list_of_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
