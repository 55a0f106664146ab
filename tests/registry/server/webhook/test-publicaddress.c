/* Which addresses are public: the edges of each block, and IPv4 within IPv6. */
#include "../fixture.h"

#include <gio/gio.h>

#include "server/webhook/publicaddress.h"

static gboolean is_public(const char *text)
{
    struct sockaddr_storage native = {0};
    g_autoptr(GInetAddress) address = g_inet_address_new_from_string(text);
    g_autoptr(GSocketAddress) socket = g_inet_socket_address_new(address, 443);
    assert_true(g_socket_address_to_native(socket, &native, sizeof native, NULL));
    return address_is_public((const struct sockaddr *)&native);
}

static void check_all(const char *const *texts, gboolean expected)
{
    for (guint i = 0; texts[i] != NULL; i++) {
        if (is_public(texts[i]) != expected) {
            fail_msg("%s", texts[i]);
        }
    }
}

static void test_public(void **state)
{
    static const char *const texts[] = {"1.1.1.1",          "9.255.255.255",   "11.0.0.0",   "100.63.255.255",
                                        "100.128.0.0",      "126.255.255.255", "128.0.0.0",  "169.253.255.255",
                                        "169.255.0.0",      "172.15.255.255",  "172.32.0.0", "192.167.255.255",
                                        "192.169.0.0",      "198.17.255.255",  "198.20.0.0", "223.255.255.255",
                                        "2606:4700::1111",  "2001:200::1",     "2a00::1",    "::ffff:8.8.8.8",
                                        "64:ff9b::808:808", "2002:808:808::1", NULL};
    (void)state;
    check_all(texts, TRUE);
}

static void test_not_public(void **state)
{
    static const char *const texts[] = {"0.0.0.0",
                                        "0.1.2.3",
                                        "10.0.0.0",
                                        "10.255.255.255",
                                        "100.64.0.0",
                                        "100.127.255.255",
                                        "127.0.0.1",
                                        "127.255.255.255",
                                        "169.254.169.254",
                                        "172.16.0.0",
                                        "172.31.255.255",
                                        "192.0.0.1",
                                        "192.0.2.1",
                                        "192.168.0.1",
                                        "198.18.0.0",
                                        "198.19.255.255",
                                        "198.51.100.7",
                                        "203.0.113.7",
                                        "224.0.0.1",
                                        "239.255.255.255",
                                        "240.0.0.1",
                                        "255.255.255.255",
                                        "::",
                                        "::1",
                                        "::7f00:1",
                                        "::ffff:127.0.0.1",
                                        "::ffff:10.0.0.1",
                                        "::ffff:169.254.169.254",
                                        "64:ff9b::a00:1",
                                        "64:ff9b:1::1",
                                        "2002:7f00:1::1",
                                        "2002:c0a8:1::1",
                                        "100::1",
                                        "2001::1",
                                        "2001:db8::1",
                                        "3fff::1",
                                        "fc00::1",
                                        "fd12:3456::1",
                                        "fe80::1",
                                        "fec0::1",
                                        "ff02::1",
                                        "4000::1",
                                        NULL};
    (void)state;
    check_all(texts, FALSE);
}

static void test_no_address(void **state)
{
    const struct sockaddr local = {.sa_family = AF_UNIX};
    (void)state;
    assert_false(address_is_public(&local));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_public), cmocka_unit_test(test_not_public),
                                       cmocka_unit_test(test_no_address)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
