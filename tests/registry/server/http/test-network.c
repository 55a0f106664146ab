/* Which addresses are one network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "server/http/network.h"

static guint64 of(const char *text)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    struct sockaddr_in four = {.sin_family = AF_INET};
    if (inet_pton(AF_INET, text, &four.sin_addr) == 1) {
        return network_of((const struct sockaddr *)&four);
    }
    assert_int_equal(inet_pton(AF_INET6, text, &six.sin6_addr), 1);
    return network_of((const struct sockaddr *)&six);
}

static void networks(void **state)
{
    static const struct {
        const char *one, *two;
        gboolean same;
    } pairs[] = {
        {"192.0.2.1", "192.0.2.1", TRUE},
        {"192.0.2.1", "192.0.2.2", FALSE},
        {"192.0.2.1", "::ffff:192.0.2.1", TRUE},
        {"0.0.0.0", "::", FALSE},
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::", TRUE},
        {"2001:db8:1:2::", "2001:db8:1:3::", FALSE},
        {"::1", "127.0.0.1", FALSE},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(pairs); i++) {
        assert_int_equal(of(pairs[i].one) == of(pairs[i].two), pairs[i].same);
    }
    const struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "/tmp/x"};
    assert_int_equal(network_of((const struct sockaddr *)&local), 0);
    assert_int_equal(network_of(NULL), 0);
    assert_int_not_equal(of("0.0.0.0"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(networks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
