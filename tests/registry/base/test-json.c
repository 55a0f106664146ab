/* JSON: equal values have equal text; errors name the document and the key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ingot/error.h>

#include "base/file.h"
#include "base/json.h"

static json_t *parse(const char *text)
{
    json_t *value = ingot_json_parse(text, strlen(text), "test", NULL);
    assert_non_null(value);
    return value;
}

static void test_canonical(void **state)
{
    g_autoptr(json_t) one = parse("{\"b\": [1, 2 , null],\n \"a\": {\"z\": \"\\u00e4\", \"y\": true}}");
    g_autoptr(json_t) two = parse("{\"a\":{\"y\":true,\"z\":\"ä\"},\"b\":[1,2,null]}");
    g_autofree char *first = ingot_json_canonical(one);
    g_autofree char *second = ingot_json_canonical(two);

    (void)state;
    assert_string_equal(first, "{\"a\":{\"y\":true,\"z\":\"ä\"},\"b\":[1,2,null]}");
    assert_string_equal(first, second);

    g_autoptr(json_t) scalar = json_string("x");
    g_autofree char *text = ingot_json_canonical(scalar);
    assert_string_equal(text, "\"x\"");
}

static void test_pretty(void **state)
{
    g_autoptr(json_t) value = parse("{\"b\":1,\"a\":[2]}");
    g_autofree char *text = ingot_json_pretty(value);

    (void)state;
    assert_string_equal(text, "{\n  \"b\": 1,\n  \"a\": [\n    2\n  ]\n}\n");
}

static void test_values_within(void **state)
{
    static const struct {
        const char *text;
        gsize most; /* that are counted */
    } rows[] = {
        {"[]", 2}, {"[[],[]]", 5}, {"{\"a\":[1,2]}", 5}, {"\"[{,:\"", 1}, {"[\"a\\\"[[[\",2]", 3}, {"\"\\\\\"", 1},
    };

    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        gsize room = rows[i].most - 1;
        json_error_t problem;
        g_autoptr(json_t) value = json_loadb(rows[i].text, strlen(rows[i].text), JSON_DECODE_ANY, &problem);
        assert_non_null(value);
        assert_null(ingot_json_parse_within(rows[i].text, strlen(rows[i].text), "list", &room, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        assert_int_equal(room, rows[i].most - 1);
    }
    gsize room = 8;
    const char *two = "[[],[]]";
    g_autoptr(json_t) first = ingot_json_parse_within(two, strlen(two), "list", &room, NULL);
    assert_non_null(first);
    assert_int_equal(room, 3);
    assert_null(ingot_json_parse_within(two, strlen(two), "list", &room, NULL));
}

static void test_refused(void **state)
{
    static const char *const bad[] = {"", "{", "{}x", "{\"a\":1,\"a\":2}", "{\"a\":\"\xff\"}", "{\"a\":\"\\u0000\"}"};

    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        assert_null(ingot_json_parse(bad[i], strlen(bad[i]), "manifest of web", &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
        assert_true(g_str_has_prefix(error->message, "manifest of web:"));
    }
    g_autofree char *deep = g_strnfill(1000000, '[');
    assert_null(ingot_json_parse(deep, 1000000, "deep", NULL));
}

static void test_get(void **state)
{
    g_autoptr(json_t) object = parse("{\"s\":\"x\",\"n\":12,\"m\":-1,\"o\":{},\"a\":[]}");
    g_autoptr(GError) error = NULL;
    guint64 size;

    (void)state;
    assert_string_equal(ingot_json_get_string(object, "s", "doc", NULL), "x");
    assert_true(ingot_json_get_size(object, "n", "doc", &size, NULL));
    assert_int_equal(size, 12);
    assert_non_null(ingot_json_get_object(object, "o", "doc", NULL));
    assert_non_null(ingot_json_get_array(object, "a", "doc", NULL));

    assert_false(ingot_json_get_size(object, "m", "doc", &size, NULL));
    assert_null(ingot_json_get_object(object, "a", "doc", NULL));
    assert_null(ingot_json_get_array(object, "missing", "doc", NULL));
    assert_null(ingot_json_get_string(object, "n", "doc", &error));
    assert_string_equal(error->message, "doc: \"n\" is not a string");
    g_clear_error(&error);
    assert_null(ingot_json_get_string(object, "missing", "doc", &error));
    assert_string_equal(error->message, "doc: \"missing\" is missing (it must be a string)");
}

static void test_set_string(void **state)
{
    g_autoptr(json_t) object = json_object();

    (void)state;
    ingot_json_set_string(object, "a", "x");
    ingot_json_set_string(object, "b", NULL);
    assert_int_equal(json_object_size(object), 1);
}

static void has_text(void **state)
{
    (void)state;
    g_autoptr(json_t) list = json_pack("[s, i, s]", "bios", 1, "uefi");
    g_autoptr(json_t) object = json_object();
    assert_true(ingot_json_has_text(list, "bios") && ingot_json_has_text(list, "uefi"));
    assert_false(ingot_json_has_text(list, "1") || ingot_json_has_text(list, "") || ingot_json_has_text(object, "x"));
    assert_false(ingot_json_has_text(NULL, "bios"));
}

static void any_bytes_become_a_string(void **state)
{
    (void)state;
    g_autoptr(json_t) whole = ingot_json_text("größe"), cut = ingot_json_text("gr\xc3"), empty = ingot_json_text("");
    assert_string_equal(json_string_value(whole), "größe");
    assert_string_equal(json_string_value(cut), "gr\xef\xbf\xbd");
    assert_string_equal(json_string_value(empty), "");
    g_autoptr(json_t) object = json_object();
    ingot_json_set_string(object, "a", "\xff");
    assert_string_equal(json_string_value(json_object_get(object, "a")), "\xef\xbf\xbd");
}

/* Errors travel as JSON themselves: whatever the document was, its error is UTF-8. */
static void an_error_is_valid_text(void **state)
{
    static const char *const texts[] = {"\xff", "{\"a\": \"\xc3\"}", "{\"\xed\xa0\x80\": 1}", "gr\xc3\xbc\xc3"};
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(json_t) value = ingot_json_parse(texts[i], strlen(texts[i]), "here", &error);
        assert_null(value);
        assert_true(g_utf8_validate(error->message, -1, NULL));
    }
    for (guint shift = 0; shift < 4; shift++) { /* what is quoted is cut somewhere */
        g_autoptr(GString) text = g_string_new("{\"a\": ");
        g_string_append_len(text, "xxxx", shift);
        for (guint i = 0; i < 200; i++)
            g_string_append(text, "\xe2\x82\xac");
        g_autoptr(GError) error = NULL;
        assert_null(ingot_json_parse(text->str, text->len, "here", &error));
        assert_true(g_utf8_validate(error->message, -1, NULL));
    }
}

static void a_pack_is_a_value(void **state)
{
    (void)state;
    g_autoptr(json_t) packed = ingot_json_pack("{s:i, s:[s, o]}", "a", 1, "b", "x", ingot_json_text("y"));
    g_autofree char *text = ingot_json_canonical(packed);
    assert_string_equal(text, "{\"a\":1,\"b\":[\"x\",\"y\"]}");
}

/* In a process of its own, since it ends it. */
static void a_pack_of_invalid_text_ends_the_program(void **state)
{
    static const char *const texts[] = {"gr\xc3", NULL};
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            const struct rlimit none = {0};
            setrlimit(RLIMIT_CORE, &none);
            signal(SIGTRAP, SIG_DFL);
            signal(SIGABRT, SIG_DFL);
            g_autoptr(json_t) value = ingot_json_pack("{s:s}", "a", texts[i]);
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
    }
}

/* What its reader would refuse is not written, and what was there stays. */
static void what_is_saved_can_be_read(void **state)
{
    g_autofree char *folder = g_dir_make_tmp("ingot-json-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "record", NULL);
    g_autoptr(json_t) value = parse("{\"a\": 1}");
    g_autofree char *text = ingot_json_pretty(value), *found = NULL;
    g_autoptr(GError) error = NULL;

    (void)state;
    assert_true(ingot_json_save(value, path, strlen(text), 0600, NULL));
    g_autoptr(json_t) longer = parse("{\"a\": 12}");
    assert_false(ingot_json_save(longer, path, strlen(text), 0600, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    assert_non_null(strstr(error->message, path));
    assert_true(g_file_get_contents(path, &found, NULL, NULL));
    assert_string_equal(found, text);
    assert_true(ingot_file_remove_tree(folder, NULL));
}

static void memory_is_bounded(const GString *text)
{
    const size_t before = mallinfo2().uordblks;
    g_autoptr(json_t) value = json_loadb(text->str, text->len, 0, NULL);
    const size_t takes = mallinfo2().uordblks - before;
    assert_non_null(value);
    assert_true(takes > text->len);
    assert_true(ingot_json_memory(value) >= takes);
    assert_true(ingot_json_memory(value) <= text->len * INGOT_JSON_MEMORY_FACTOR);
}

static void memory_is_counted(void **state)
{
    static const char *const pieces[] = {"{}",
                                         "[]",
                                         "1",
                                         "1.5",
                                         "true,1",
                                         "\"\"",
                                         "\"abc\"",
                                         "[{}]",
                                         "[[[{}]]]",
                                         "{\"\":{}}",
                                         "{\"a\":\"b\",\"c\":[]}",
                                         "[1,2,3,4,5,6,7,8,9]"};
    (void)state;
    for (guint count = 1000; count < 100000; count = 3 * count + 1) {
        for (guint i = 0; i < G_N_ELEMENTS(pieces); i++) {
            g_autoptr(GString) list = g_string_new("[");
            for (guint j = 0; j < count; j++) {
                g_string_append_printf(list, "%s%s", j == 0 ? "" : ",", pieces[i]);
            }
            g_string_append_c(list, ']');
            memory_is_bounded(list);
        }
        g_autoptr(GString) object = g_string_new("{");
        for (guint j = 0; j < count; j++) {
            g_string_append_printf(object, "%s\"%x\":{}", j == 0 ? "" : ",", j);
        }
        g_string_append_c(object, '}');
        memory_is_bounded(object);
    }
    g_autoptr(GString) nested = g_string_new(NULL);
    for (guint i = 0; i < 2000; i++) {
        g_string_insert_c(nested, (gssize)i, '[');
        g_string_append_c(nested, ']');
    }
    memory_is_bounded(nested);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_pretty),
        cmocka_unit_test(test_values_within),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_set_string),
        cmocka_unit_test(has_text),
        cmocka_unit_test(any_bytes_become_a_string),
        cmocka_unit_test(an_error_is_valid_text),
        cmocka_unit_test(what_is_saved_can_be_read),
        cmocka_unit_test(memory_is_counted),
        cmocka_unit_test(a_pack_is_a_value),
        cmocka_unit_test(a_pack_of_invalid_text_ends_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
