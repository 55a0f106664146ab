/* The log: one line whatever a client sends, fields that stay apart, JSON that parses, ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <string.h>

#include "server/http/log.h"

#define TIME "2026-01-01T00:00:00Z"

static const LogRequest example = {.client = "127.0.0.1",
                                   .user = "alice",
                                   .method = "GET",
                                   .path = "/v2/",
                                   .id = "abc",
                                   .status = 200,
                                   .received = 1,
                                   .sent = 2,
                                   .ms = 0.26};

/* What a client may send, and how a field of a plain line shows it. */
static const struct {
    const char *sent, *shown;
} texts[] = {
    {"/v2/\n" TIME " 10.0.0.1 GET /", "/v2/\\x0a" TIME "\\x2010.0.0.1\\x20GET\\x20/"},
    {"/\r\t\x1b[31m\x7f", "/\\x0d\\x09\\x1b[31m\\x7f"},
    {"/a status=200", "/a\\x20status=200"},
    {"/a\\x20", "/a\\\\x20"},
    {"/\xc2\x9b"
     "1m",
     "/\\x9b1m"},
    {"/\xe2\x80\xa8\xe2\x80\xae\xe3\x80\x80", "/\\u2028\\u202e\\u3000"},
    {"/\xff\xc3", "/\\xff\\xc3"},
    {"/gr\xc3\xbc\xc3\x9f\"e", "/gr\xc3\xbc\xc3\x9f\"e"},
};

static void a_plain_line(void **state)
{
    (void)state;
    g_autofree char *line = log_request_line(LOG_AS_PLAIN, TIME, &example);
    assert_string_equal(line, TIME " 127.0.0.1 alice GET /v2/ status=200 received=1 bytes=2 ms=0.3 id=abc");
}

static void fields_of_a_plain_line_stay_apart(void **state)
{
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        LogRequest request = example;
        request.path = request.method = texts[i].sent;
        g_autofree char *line = log_request_line(LOG_AS_PLAIN, TIME, &request);
        g_auto(GStrv) fields = g_strsplit(line, " ", -1);
        assert_int_equal(g_strv_length(fields), 10);
        assert_string_equal(fields[3], texts[i].shown);
        assert_string_equal(fields[4], texts[i].shown);
    }
}

static void a_line_of_json_parses_and_is_ascii(void **state)
{
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        LogRequest request = example;
        request.path = texts[i].sent;
        g_autofree char *line = log_request_line(LOG_AS_JSON, TIME, &request);
        for (const char *c = line; *c != '\0'; c++) {
            assert_in_range((guchar)*c, ' ', '~');
        }
        json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        g_autofree char *valid = g_utf8_make_valid(texts[i].sent, -1);
        assert_non_null(object);
        assert_string_equal(json_string_value(json_object_get(object, "path")), valid);
        assert_string_equal(json_string_value(json_object_get(object, "id")), "abc");
        assert_string_equal(json_string_value(json_object_get(object, "user")), "alice");
        assert_int_equal(json_integer_value(json_object_get(object, "status")), 200);
        json_decref(object);
    }
}

static void messages(void **state)
{
    (void)state;
    g_autofree char *plain = log_message_line(LOG_AS_PLAIN, TIME, "error", "no\nsuch \"blob\" \xc3\xbc");
    assert_string_equal(plain, "ingotd: no\\x0asuch \"blob\" \xc3\xbc");
    g_autofree char *warning = log_message_line(LOG_AS_PLAIN, TIME, "warning", "beware");
    assert_string_equal(warning, "ingotd: warning: beware");
    g_autofree char *json = log_message_line(LOG_AS_JSON, TIME, "error", "no\nsuch\x7f");
    assert_string_equal(json, "{\"time\":\"" TIME "\",\"level\":\"error\",\"message\":\"no\\nsuch\\u007f\"}");
}

static void ids(void **state)
{
    (void)state;
    const char *const bad[] = {NULL, "", "a b", "a\n", "\xc3\xbc", "{}", "a=b"};
    g_autofree char *longest = g_strnfill(64, 'a'), *longer = g_strnfill(65, 'a');
    g_autofree char *taken = log_id("Az09._-"), *whole = log_id(longest), *cut = log_id(longer);
    assert_string_equal(taken, "Az09._-");
    assert_string_equal(whole, longest);
    assert_int_equal(strlen(cut), 16);
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *made = log_id(bad[i]), *other = log_id(bad[i]);
        assert_int_equal(strlen(made), 16);
        assert_string_not_equal(made, other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_line),
        cmocka_unit_test(fields_of_a_plain_line_stay_apart),
        cmocka_unit_test(a_line_of_json_parses_and_is_ascii),
        cmocka_unit_test(messages),
        cmocka_unit_test(ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
