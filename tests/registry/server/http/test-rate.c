/* The rate of an address: bursts, filling, who counts as one, bounded memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "server/http/rate.h"

#define SECOND G_USEC_PER_SEC

static gboolean take(Rate *rate, const char *address, gint64 now)
{
    struct sockaddr_storage storage = {0};
    struct sockaddr_in *in4 = (struct sockaddr_in *)&storage;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&storage;
    if (inet_pton(AF_INET, address, &in4->sin_addr) == 1) {
        storage.ss_family = AF_INET;
    } else {
        assert_int_equal(inet_pton(AF_INET6, address, &in6->sin6_addr), 1);
        storage.ss_family = AF_INET6;
    }
    return rate_take(rate, (struct sockaddr *)&storage, now);
}

static void a_burst_and_then_the_rate(void **state)
{
    (void)state;
    Rate *rate = rate_new(2, 5);
    for (guint i = 0; i < 5; i++) {
        assert_true(take(rate, "10.0.0.1", SECOND));
    }
    assert_false(take(rate, "10.0.0.1", SECOND));
    assert_true(take(rate, "10.0.0.1", SECOND + SECOND / 2));
    assert_false(take(rate, "10.0.0.1", SECOND + SECOND / 2));
    assert_true(take(rate, "10.0.0.2", SECOND));
    assert_int_equal(rate_refused(rate), 2);
    for (guint i = 0; i < 5; i++) { /* it never holds more than the burst */
        assert_true(take(rate, "10.0.0.1", 1000 * SECOND));
    }
    assert_false(take(rate, "10.0.0.1", 1000 * SECOND));
    rate_free(rate);
}

static void what_counts_as_one_address(void **state)
{
    (void)state;
    Rate *rate = rate_new(1, 1);
    assert_true(take(rate, "192.0.2.1", 0));
    assert_false(take(rate, "::ffff:192.0.2.1", 0));
    assert_true(take(rate, "::ffff:192.0.2.2", 0));
    assert_false(take(rate, "192.0.2.2", 0));
    assert_true(take(rate, "2001:db8::1", 0));
    assert_false(take(rate, "2001:db8::ffff:0:0:2", 0));
    assert_true(take(rate, "2001:db8:0:1::1", 0));
    assert_true(take(rate, "::1", 0));
    rate_free(rate);
}

static void no_more_than_so_many_are_remembered(void **state)
{
    (void)state;
    Rate *rate = rate_new(1, 1);
    struct sockaddr_in address = {.sin_family = AF_INET};
    for (guint round = 0; round < 2; round++) { /* each was forgotten when it comes again */
        for (guint i = 0; i <= RATE_ADDRESSES; i++) {
            address.sin_addr.s_addr = htonl(i);
            assert_true(rate_take(rate, (struct sockaddr *)&address, 0));
        }
    }
    assert_false(rate_take(rate, (struct sockaddr *)&address, 0));
    rate_free(rate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_and_then_the_rate),
        cmocka_unit_test(what_counts_as_one_address),
        cmocka_unit_test(no_more_than_so_many_are_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
