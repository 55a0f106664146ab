/* Which hosts are asked without a proxy, and which by plain HTTP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ingot/remote.h>

#include "remote/bypass.h"
#include "remote/plain.h"

static void hosts_of_a_list(void **state)
{
    static const struct {
        const char *list, *host;
        guint port;
        gboolean has;
    } rows[] = {
        {"example.com", "example.com", 443, TRUE},
        {"example.com", "EXAMPLE.com", 443, TRUE},
        {"Example.com", "a.example.com", 443, TRUE},
        {"example.com", "badexample.com", 443, FALSE},
        {".example.com", "a.example.com", 443, TRUE},
        {".example.com", "example.com", 443, FALSE},
        {"*.example.com", "a.example.com", 443, TRUE},
        {"*.example.com", "example.com", 443, FALSE},
        {"example.com:5000", "example.com", 5000, TRUE},
        {"example.com:5000", "example.com", 443, FALSE},
        {"a, example.com ,b", "example.com", 443, TRUE},
        {"10.0.0.0/8", "10.1.2.3", 443, TRUE},
        {"10.0.0.0/8", "11.1.2.3", 443, FALSE},
        {"10.0.0.0/8", "10.example", 443, FALSE},
        {"10.1.2.3", "10.1.2.3", 443, TRUE},
        {"10.1.2.3:80", "10.1.2.3", 443, FALSE},
        {"10.1.2", "10.1.2.3", 443, FALSE},
        {"fd00::/8", "fd00::1", 443, TRUE},
        {"fd00::1", "fd00::1", 443, TRUE},
        {"[fd00::1]:443", "fd00::1", 443, TRUE},
        {"[fd00::1]:80", "fd00::1", 443, FALSE},
        {"a.example,*", "b.example", 443, TRUE},
        {"", "a.example", 443, FALSE},
        {",", "a.example", 443, FALSE},
        {NULL, "a.example", 443, FALSE},
    };
    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (bypass_has(rows[i].list, rows[i].host, rows[i].port) != rows[i].has) {
            fail_msg("%s: %s:%u", rows[i].list, rows[i].host, rows[i].port);
        }
    }
}

static void what_libcurl_is_told(void **state)
{
#define OURS "localhost,127.0.0.0/8,::1"
    static const char *const rows[][3] = {
        {NULL, "https://a.example/", OURS},
        {"b.example,10.0.0.0/8", "https://a.example/", OURS ",b.example,10.0.0.0/8"},
        {"a.example:5000", "https://a.example:5000/v2/", OURS ",a.example"},
        {"a.example:5000", "https://a.example/v2/", OURS},
        {"a.example:443", "https://a.example/v2/", OURS ",a.example"},
        {".example", "https://example/v2/", OURS},
        {"*.example", "https://a.example/v2/", OURS ",.example,a.example"},
        {"x,*", "https://a.example/v2/", "*"},
        {"[fd00::1]:443", "https://[fd00::1]/v2/", OURS ",fd00::1"},
    };
    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *told = bypass_for(rows[i][0], rows[i][1]);
        assert_string_equal(told, rows[i][2]);
    }
}

static void schemes(void **state)
{
    (void)state;
    IngotRemoteOptions options = {.ca = "/dev/null"}; /* says nothing of how a host is asked */
    assert_string_equal(ingot_remote_scheme(&options, "127.0.0.1:5000"), "http");
    assert_string_equal(ingot_remote_scheme(&options, "127.9.9.9"), "http");
    assert_string_equal(ingot_remote_scheme(&options, "[::1]:5000"), "http");
    assert_string_equal(ingot_remote_scheme(&options, "[0:0::1]"), "http");
    assert_string_equal(ingot_remote_scheme(&options, "Localhost:5000"), "http");
    assert_string_equal(ingot_remote_scheme(&options, "lab.example:5000"), "https");
    assert_string_equal(ingot_remote_scheme(&options, "[fd00::1]:5000"), "https");
    assert_string_equal(ingot_remote_scheme(&options, "127.0.0.1.example"), "https");
    options.plain_http = "lab.example:5000, [fd00::1]:5000,other.example";
    assert_string_equal(ingot_remote_scheme(&options, "LAB.example:5000"), "http");
    assert_string_equal(ingot_remote_scheme(&options, "lab.example"), "https");
    assert_string_equal(ingot_remote_scheme(&options, "a.lab.example:5000"), "https");
    assert_string_equal(ingot_remote_scheme(&options, "[fd00::1]:5000"), "http");
    assert_string_equal(ingot_remote_scheme(&options, "other.example:80"), "http");
    assert_string_equal(ingot_remote_scheme(&options, "127.0.0.1:5000"), "http");
    options.plain_http = "none,lab.example";
    assert_string_equal(ingot_remote_scheme(&options, "127.0.0.1:5000"), "https");
    assert_string_equal(ingot_remote_scheme(&options, "none"), "https");
    assert_string_equal(ingot_remote_scheme(&options, "lab.example"), "http");
    assert_true(plain_is_trusted(&options, "127.0.0.1:5000"));
    assert_false(plain_is_trusted(&options, "b.example"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(hosts_of_a_list), cmocka_unit_test(what_libcurl_is_told),
                                       cmocka_unit_test(schemes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
