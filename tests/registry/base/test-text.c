/* Small texts: what people write and read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <ingot/error.h>

#include "base/text.h"

static void test_size(void **state)
{
    static const struct {
        guint64 bytes;
        const char *text;
    } cases[] = {
        {0, "0 B"},         {999, "999 B"},      {1000, "1.0 kB"},       {999949, "999.9 kB"},
        {999950, "1.0 MB"}, {1234567, "1.2 MB"}, {2147483648, "2.1 GB"}, {G_MAXUINT64, "18.4 EB"},
    };

    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = ingot_text_size(cases[i].bytes);
        assert_string_equal(text, cases[i].text);
    }
}

/* A printed command can be pasted: a shell reads the very word. */
static void test_word(void **state)
{
    static const char *const words[] = {"web.yaml", "",          "my recipe.yaml", "it's", "a\"b", "$HOME", "`x`",
                                        "a;b",      "\303\266l", "a\\b",           "*",    "~",    "a\nb"};

    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(words); i++) {
        g_autofree char *word = ingot_text_word(words[i]), *line = g_strconcat("ingot ", word, " end", NULL);
        g_auto(GStrv) read = NULL;
        int count;
        assert_true(g_shell_parse_argv(line, &count, &read, NULL));
        assert_int_equal(count, 3);
        assert_string_equal(read[1], words[i]);
    }
    g_autofree char *plain = ingot_text_word("recipes/web-1.0_a.yaml");
    assert_string_equal(plain, "recipes/web-1.0_a.yaml");
}

static void test_duration(void **state)
{
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {
        {0, "0.0 s"},         {0.84, "0.8 s"},     {9.94, "9.9 s"},        {9.96, "10 s"},       {42.3, "42 s"},
        {59.6, "1 min 00 s"}, {185, "3 min 05 s"}, {3599.6, "1 h 00 min"}, {7384, "2 h 03 min"},
    };

    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = ingot_text_duration(cases[i].seconds);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_parse_size(void **state)
{
    static const struct {
        const char *text;
        guint64 bytes;
    } good[] = {
        {"0", 0},
        {"4096", 4096},
        {"64KiB", 65536},
        {"64K", 65536},
        {"512M", 536870912},
        {"10G", 10737418240},
        {"2TiB", 2199023255552},
        {"18446744073709551615", G_MAXUINT64},
    };
    static const char *const bad[] = {
        "", "G", "-1", "+1", " 1", "1 ", "1.5G", "1 G", "10GB", "1g", "0x10", "18446744073709551616", "99999999999T",
    };

    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
        guint64 bytes;
        assert_true(ingot_text_parse_size(good[i].text, &bytes, NULL));
        assert_true(bytes == good[i].bytes);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        guint64 bytes;
        assert_false(ingot_text_parse_size(bad[i], &bytes, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    }
}

static void test_parse_fraction(void **state)
{
    (void)state;
    static const char *const good[] = {"0", "0.0", "0.75", "1", "1.0"};
    static const char *const bad[] = {"", "-0.1", "1.01", "nan", "inf", "0.5x", " 0", ".5", "half"};
    double value;
    for (guint i = 0; i < G_N_ELEMENTS(good); i++) {
        assert_true(ingot_text_parse_fraction(good[i], &value, NULL));
    }
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        assert_false(ingot_text_parse_fraction(bad[i], &value, NULL));
    }
    assert_true(ingot_text_parse_fraction("0.75", &value, NULL));
    assert_float_equal(value, 0.75, 0);
}

static void test_parse_duration(void **state)
{
    static const struct {
        const char *text;
        guint64 seconds;
    } good[] = {{"90", 90}, {"90s", 90}, {"5m", 300}, {"2h", 7200}, {"1d", 86400}};
    static const char *const bad[] = {"", "s", "-5m", "5 m", "5min", "1.5h", "1h30m", "999999999999999999d"};
    guint64 seconds;

    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
        assert_true(ingot_text_parse_duration(good[i].text, &seconds, NULL));
        assert_int_equal(seconds, good[i].seconds);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++)
        assert_false(ingot_text_parse_duration(bad[i], &seconds, NULL));
}

static void test_head(void **state)
{
    static const struct {
        const char *text;
        gsize most;
        const char *head;
    } cases[] = {
        {"", 5, ""},
        {"abc", 5, "abc"},
        {"abcdef", 5, "abcde"},
        {"é", 2, "é"},
        {"aéé", 4, "aé"},
        {"€€", 5, "€"},
        {"\x80\x80\x80", 2, ""},
        {"a\xff"
         "b",
         5, "a\uFFFDb"},
        {"a\xc3", 5, "a\uFFFD"},
    };

    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *head = ingot_text_head(cases[i].text, cases[i].most);
        assert_string_equal(head, cases[i].head);
    }
}

static void test_url(void **state)
{
    static const char *const cases[][2] = {
        {"https://host/a/b", "https://host/a/b"},
        {"https://me:s3cret@host:80/a", "https://host:80/a"},
        {"https://me:s3@cret@host", "https://host"},
        {"https://host/a@b?sig=s3cret#x", "https://host/a@b?..."},
        {"https://me@host?x=1", "https://host?..."},
        {"file:///srv/a@b", "file:///srv/a@b"},
        {"me@host/a?b", "me@host/a?b"},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *shown = ingot_text_url(cases[i][0]);
        assert_string_equal(shown, cases[i][1]);
    }
}

static void test_nearest(void **state)
{
    static const char *const words[] = {"shell", "file", "steps", "source", NULL};
    static const char *const none[] = {NULL};
    g_autofree char *endless = g_strnfill(100000, 'x');

    (void)state;
    assert_string_equal(ingot_text_nearest("shel", words), "shell");
    assert_string_equal(ingot_text_nearest("Shell", words), "shell");
    assert_string_equal(ingot_text_nearest("shlel", words), "shell");
    assert_string_equal(ingot_text_nearest("fxle", words), "file");
    assert_string_equal(ingot_text_nearest("step", words), "steps");
    assert_string_equal(ingot_text_nearest("file", words), "file");
    assert_null(ingot_text_nearest("annotations", words));
    assert_null(ingot_text_nearest("x", words));
    assert_null(ingot_text_nearest(endless, words));
    assert_null(ingot_text_nearest("shell", none));

    g_autofree char *near = ingot_text_suggestion("shel", words);
    g_autofree char *far = ingot_text_suggestion("annotations", words);
    assert_string_equal(near, " (did you mean 'shell'?)");
    assert_string_equal(far, "");
}

static void test_clean(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"plain\ttext\r\nmore", "plain\ttext\nmore"},
        {"\033[1;31mred\033[0m\033[2J", "red"},
        {"\033]0;title\007a\033]8;;x\033\\b", "ab"},
        {"\033(Bc\033=d\033", "cd"},
        {"\033[31", ""},
        {"bell\007 back\b\177 \302\233C1", "bell back C1"},
        {"broken \377 umlaut \303\274", "broken \357\277\275 umlaut \303\274"},
        {"no\357\277\276ne\357\277\277", "none"},
        {"copied \033]52;c;aGVsbG8=\033\\to", "copied to"},
        {"", ""},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *plain = ingot_text_clean(cases[i][0], -1);
        assert_string_equal(plain, cases[i][1]);
    }
    g_autofree char *nul = ingot_text_clean("a\0b", 3);
    assert_true(g_str_has_prefix(nul, "a") && g_str_has_suffix(nul, "b"));
}

static void test_line_and_cell(void **state)
{
    (void)state;
    g_autofree char *line = ingot_text_line("a\tb\n\033[2Jc\r");
    assert_string_equal(line, "a b c");
    static const struct {
        const char *text;
        guint columns;
        const char *cell;
    } cases[] = {{"ab", 4, "ab  "},
                 {"abcdef", 4, "abcd"},
                 {"sch\303\266n", 5, "sch\303\266n"},
                 {"sch\303\266n", 4, "sch\303\266"},
                 {"sch\303\266n", 6, "sch\303\266n "},
                 {"\346\227\245\346\234\254", 3, "\346\227\245 "}, /* two columns each */
                 {"e\314\201x", 2, "e\314\201x"},                  /* a combining accent */
                 {"\033[31mred\033[0m", 4, "red "}};
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *cell = ingot_text_cell(cases[i].text, cases[i].columns);
        assert_string_equal(cell, cases[i].cell);
    }
}

static void test_time(void **state)
{
    g_autofree char *epoch = ingot_text_time(0);
    g_autofree char *later = ingot_text_time(1714564800);
    g_autofree char *last = ingot_text_time(G_MAXINT64);

    (void)state;
    assert_string_equal(epoch, "1970-01-01T00:00:00Z");
    assert_string_equal(later, "2024-05-01T12:00:00Z");
    assert_string_equal(last, "9999-12-31T23:59:59Z");

    g_setenv("SOURCE_DATE_EPOCH", "1714564800", TRUE);
    g_autofree char *fixed = ingot_text_now();
    g_unsetenv("SOURCE_DATE_EPOCH");
    g_autofree char *now = ingot_text_now();
    assert_string_equal(fixed, "2024-05-01T12:00:00Z");
    assert_string_not_equal(now, fixed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_size),           cmocka_unit_test(test_duration),
        cmocka_unit_test(test_parse_size),     cmocka_unit_test(test_word),
        cmocka_unit_test(test_parse_duration), cmocka_unit_test(test_parse_fraction),
        cmocka_unit_test(test_head),           cmocka_unit_test(test_url),
        cmocka_unit_test(test_nearest),        cmocka_unit_test(test_clean),
        cmocka_unit_test(test_line_and_cell),  cmocka_unit_test(test_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
