/* Addresses that fail wait, and no more are known than may be; right passwords are remembered, until they change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>

#include "server/auth/logins.h"
#include "server/auth/password.h"

#define SECOND G_USEC_PER_SEC

static void waits_double(void **state)
{
    static const guint expected[] = {1, 2, 4, 8, 16, 32, 60, 60};
    Throttle *throttle = throttle_new();
    gint64 now = 1000 * SECOND;
    (void)state;
    assert_int_equal(throttle_wait(throttle, "a", now), 0);
    for (guint i = 0; i < G_N_ELEMENTS(expected); i++) {
        throttle_fail(throttle, "a", now);
        assert_int_equal(throttle_wait(throttle, "a", now), expected[i]);
        assert_int_equal(throttle_wait(throttle, "b", now), 0);
        now += expected[i] * SECOND;
        assert_int_equal(throttle_wait(throttle, "a", now - 1), 1);
        assert_int_equal(throttle_wait(throttle, "a", now), 0);
    }
    throttle_clear(throttle, "a");
    throttle_fail(throttle, "a", now);
    assert_int_equal(throttle_wait(throttle, "a", now), 1);
    throttle_fail(throttle, "a", now + SECOND);
    throttle_fail(throttle, "a", now + 400 * SECOND); /* long ago */
    assert_int_equal(throttle_wait(throttle, "a", now + 400 * SECOND), 1);
    throttle_free(throttle);
}

static void memory_is_bounded(void **state)
{
    Throttle *throttle = throttle_new();
    (void)state;
    for (guint i = 0; i < 3 * THROTTLE_MAX / 2; i++) {
        g_autofree char *address = g_strdup_printf("%u", i);
        throttle_fail(throttle, address, SECOND + i);
    }
    assert_int_equal(throttle_size(throttle), THROTTLE_MAX);
    g_autofree char *last = g_strdup_printf("%u", 3 * THROTTLE_MAX / 2 - 1);
    assert_int_equal(throttle_wait(throttle, last, 2 * SECOND), 1);
    throttle_fail(throttle, "late", 1000 * SECOND);
    assert_int_equal(throttle_size(throttle), 1);
    throttle_free(throttle);
}

static void expect_key(const char *text, const char *expected)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    struct sockaddr_in four = {.sin_family = AF_INET};
    gboolean is_six = inet_pton(AF_INET6, text, &six.sin6_addr) == 1;
    assert_true(is_six || inet_pton(AF_INET, text, &four.sin_addr) == 1);
    g_autofree char *key = throttle_key(is_six ? (const struct sockaddr *)&six : (const struct sockaddr *)&four);
    assert_string_equal(key, expected);
}

static void keys(void **state)
{
    (void)state;
    expect_key("192.0.2.1", "192.0.2.1");
    expect_key("::ffff:192.0.2.1", "192.0.2.1");
    expect_key("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::");
    g_autofree char *none = throttle_key(NULL);
    assert_string_equal(none, "-");
}

typedef struct {
    GMutex lock;
    GCond changed;
    guint count, verdicts[4];
} Seen;

static void on_done(LoginVerdict verdict, gpointer data)
{
    Seen *seen = data;
    g_mutex_lock(&seen->lock);
    seen->verdicts[verdict]++;
    seen->count++;
    g_cond_signal(&seen->changed);
    g_mutex_unlock(&seen->lock);
}

static void wait_for(Seen *seen, guint count)
{
    g_mutex_lock(&seen->lock);
    while (seen->count < count) {
        g_cond_wait(&seen->changed, &seen->lock);
    }
    g_mutex_unlock(&seen->lock);
}

static void right_ones_are_remembered(void **state)
{
    Throttle *throttle = throttle_new();
    Logins *logins = logins_new(throttle);
    Seen seen = {0};
    (void)state;
    g_autofree char *hash = password_hash("correct horse", NULL), *other = password_hash("correct horse", NULL);
    assert_int_equal(logins_recall(logins, "a", "alice", "correct horse", hash), LOGIN_UNKNOWN);
    logins_check(logins, "a", "alice", "correct horse", hash, on_done, &seen);
    wait_for(&seen, 1);
    assert_int_equal(seen.verdicts[LOGIN_RIGHT], 1);
    assert_int_equal(logins_recall(logins, "a", "alice", "correct horse", hash), LOGIN_RIGHT);
    assert_int_equal(logins_recall(logins, "a", "alice", "correct horse", other), LOGIN_UNKNOWN); /* changed */
    assert_int_equal(logins_recall(logins, "a", "alice", "correct horse", NULL), LOGIN_UNKNOWN);  /* removed */
    assert_int_equal(logins_recall(logins, "a", "bob", "correct horse", hash), LOGIN_UNKNOWN);
    assert_int_equal(logins_recall(logins, "a", "alicecorrect", " horse", hash), LOGIN_UNKNOWN);
    throttle_fail(throttle, "a", g_get_monotonic_time());
    assert_int_equal(logins_recall(logins, "a", "alice", "correct horse", hash), LOGIN_TOO_SOON);
    assert_int_equal(logins_recall(logins, "b", "alice", "correct horse", hash), LOGIN_RIGHT);
    logins_free(logins);
    throttle_free(throttle);
}

/* Many guesses at once are one guess: the others come too soon. */
static void guesses_at_once(void **state)
{
    Throttle *throttle = throttle_new();
    Logins *logins = logins_new(throttle);
    Seen seen = {0};
    (void)state;
    for (guint i = 0; i < 6; i++) {
        logins_check(logins, "a", "nobody", "guess", NULL, on_done, &seen);
    }
    wait_for(&seen, 6);
    assert_int_equal(seen.verdicts[LOGIN_WRONG], 1);
    assert_int_equal(seen.verdicts[LOGIN_TOO_SOON], 5);
    logins_free(logins);
    throttle_free(throttle);
}

static void the_end_answers_all(void **state)
{
    Throttle *throttle = throttle_new();
    Logins *logins = logins_new(throttle);
    Seen seen = {0};
    (void)state;
    for (guint i = 0; i < 20; i++) {
        g_autofree char *address = g_strdup_printf("%u", i);
        logins_check(logins, address, "nobody", "guess", NULL, on_done, &seen);
    }
    logins_stop(logins);
    logins_check(logins, "late", "nobody", "guess", NULL, on_done, &seen);
    assert_int_equal(seen.count, 21);
    logins_free(logins);
    throttle_free(throttle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_double),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(keys),
        cmocka_unit_test(right_ones_are_remembered),
        cmocka_unit_test(guesses_at_once),
        cmocka_unit_test(the_end_answers_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
