/* Users wait where they fail and nobody else does; right passwords are remembered until they change; crowds are
 * bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/auth/logins.h"
#include "server/auth/password.h"

#define SECOND ((gint64)G_USEC_PER_SEC)

#define HERE 1 /* networks */
#define THERE 2

static void waits_double(void **state)
{
    static const guint expected[] = {1, 2, 4, 8, 16, 32, 60, 60};
    Throttle *throttle = throttle_new();
    gint64 now = 1000 * SECOND;
    (void)state;
    assert_int_equal(throttle_wait(throttle, "a", HERE, now), 0);
    for (guint i = 0; i < G_N_ELEMENTS(expected); i++) {
        throttle_fail(throttle, "a", HERE, now);
        assert_int_equal(throttle_wait(throttle, "a", HERE, now), expected[i]);
        now += expected[i] * SECOND;
        assert_int_equal(throttle_wait(throttle, "a", HERE, now - 1), 1);
        assert_int_equal(throttle_wait(throttle, "a", HERE, now), 0);
    }
    throttle_succeed(throttle, "a", HERE, now);
    throttle_fail(throttle, "a", HERE, now);
    assert_int_equal(throttle_wait(throttle, "a", HERE, now), 1);
    throttle_fail(throttle, "a", HERE, now + SECOND);
    throttle_fail(throttle, "a", HERE, now + 400 * SECOND); /* long ago */
    assert_int_equal(throttle_wait(throttle, "a", HERE, now + 400 * SECOND), 1);
    throttle_free(throttle);
}

/* Failures of one user from one network slow down that user there, and nobody else. */
static void nobody_else_waits(void **state)
{
    static const struct {
        const char *user;
        guint64 network;
        guint wait;
    } all[] = {
        {"alice", HERE, 16}, {"bob", HERE, 0},    {"alice", THERE, 0},
        {"alic", HERE, 0},   {"alice ", HERE, 0}, {"", HERE, 0},
    };
    Throttle *throttle = throttle_new();
    (void)state;
    for (guint i = 0; i < 5; i++) {
        throttle_fail(throttle, "alice", HERE, SECOND);
    }
    for (guint i = 0; i < G_N_ELEMENTS(all); i++) {
        assert_int_equal(throttle_wait(throttle, all[i].user, all[i].network, SECOND), all[i].wait);
    }
    /* A right login of one user is no help in guessing another's password. */
    throttle_succeed(throttle, "bob", HERE, SECOND);
    throttle_succeed(throttle, "alice", THERE, SECOND);
    assert_int_equal(throttle_wait(throttle, "alice", HERE, SECOND), 16);
    throttle_free(throttle);
}

/* Guesses from very many networks are slowed too; where the user works nobody waits for that. */
static void many_networks_guess(void **state)
{
    Throttle *throttle = throttle_new();
    (void)state;
    throttle_succeed(throttle, "alice", HERE, SECOND);
    for (guint i = 0; i < THROTTLE_FREE; i++) {
        assert_int_equal(throttle_wait(throttle, "alice", 100 + i, SECOND), 0);
        throttle_fail(throttle, "alice", 100 + i, SECOND);
    }
    assert_int_equal(throttle_wait(throttle, "alice", THERE, SECOND), 0);
    for (guint i = 0; i < 20; i++) {
        throttle_fail(throttle, "alice", 200 + i, SECOND);
    }
    assert_int_equal(throttle_wait(throttle, "alice", THERE, SECOND), 60);
    assert_int_equal(throttle_wait(throttle, "bob", THERE, SECOND), 0);
    assert_int_equal(throttle_wait(throttle, "alice", HERE, SECOND), 0);
    throttle_succeed(throttle, "alice", HERE, SECOND); /* does not help the guessers */
    assert_int_equal(throttle_wait(throttle, "alice", THERE, SECOND), 60);
    throttle_fail(throttle, "alice", HERE, SECOND); /* who works there has no more guesses than elsewhere */
    assert_int_equal(throttle_wait(throttle, "alice", HERE, SECOND), 1);
    gint64 tomorrow = SECOND + 86400 * SECOND;
    for (guint i = 0; i < 20; i++) {
        throttle_fail(throttle, "alice", 300 + i, tomorrow);
    }
    assert_int_equal(throttle_wait(throttle, "alice", HERE, tomorrow), 60);
    throttle_free(throttle);
}

static void memory_is_bounded(void **state)
{
    Throttle *throttle = throttle_new();
    (void)state;
    throttle_succeed(throttle, "alice", HERE, SECOND);
    for (guint i = 0; i < 3 * THROTTLE_MAX / 2; i++) {
        g_autofree char *user = g_strdup_printf("%u", i);
        throttle_fail(throttle, user, HERE, SECOND + i);
        assert_true(throttle_size(throttle) <= THROTTLE_MAX);
    }
    g_autofree char *last = g_strdup_printf("%u", 3 * THROTTLE_MAX / 2 - 1);
    assert_int_equal(throttle_wait(throttle, last, HERE, 2 * SECOND), 1);
    throttle_fail(throttle, "late", HERE, 1000 * SECOND);
    assert_int_equal(throttle_size(throttle), 2);
    for (guint i = 0; i < 30; i++) { /* those who fail push out nobody who is trusted */
        throttle_fail(throttle, "alice", 100 + i, 1000 * SECOND);
    }
    assert_int_equal(throttle_wait(throttle, "alice", THERE, 1000 * SECOND), 60);
    assert_int_equal(throttle_wait(throttle, "alice", HERE, 1000 * SECOND), 0);
    throttle_free(throttle);
}

typedef struct {
    GMutex lock;
    GCond changed;
    guint count, verdicts[LOGIN_UNKNOWN];
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
    Logins *logins = logins_new(throttle, 1, NULL);
    Seen seen = {0};
    (void)state;
    g_autofree char *hash = password_hash("correct horse", NULL), *other = password_hash("correct horse", NULL);
    assert_int_equal(logins_recall(logins, HERE, "alice", "correct horse", hash), LOGIN_UNKNOWN);
    logins_check(logins, HERE, "alice", "correct horse", hash, on_done, &seen);
    wait_for(&seen, 1);
    assert_int_equal(seen.verdicts[LOGIN_RIGHT], 1);
    assert_int_equal(logins_recall(logins, HERE, "alice", "correct horse", hash), LOGIN_RIGHT);
    assert_int_equal(logins_recall(logins, HERE, "alice", "correct horse", other), LOGIN_UNKNOWN); /* changed */
    assert_int_equal(logins_recall(logins, HERE, "alice", "correct horse", NULL), LOGIN_UNKNOWN);  /* removed */
    assert_int_equal(logins_recall(logins, HERE, "bob", "correct horse", hash), LOGIN_UNKNOWN);
    assert_int_equal(logins_recall(logins, HERE, "alicecorrect", " horse", hash), LOGIN_UNKNOWN);
    throttle_fail(throttle, "alice", HERE, g_get_monotonic_time());
    assert_int_equal(logins_recall(logins, HERE, "alice", "correct horse", hash), LOGIN_TOO_SOON);
    assert_int_equal(logins_recall(logins, THERE, "alice", "correct horse", hash), LOGIN_RIGHT);
    logins_free(logins);
    throttle_free(throttle);
}

/* Many guesses at once are one guess: the others come too soon. */
static void guesses_at_once(void **state)
{
    Throttle *throttle = throttle_new();
    Logins *logins = logins_new(throttle, 1, NULL);
    Seen seen = {0};
    (void)state;
    for (guint i = 0; i < 6; i++) {
        logins_check(logins, HERE, "nobody", "guess", NULL, on_done, &seen);
    }
    wait_for(&seen, 6);
    assert_int_equal(seen.verdicts[LOGIN_WRONG], 1);
    assert_int_equal(seen.verdicts[LOGIN_TOO_SOON], 5);
    logins_free(logins);
    throttle_free(throttle);
}

/* A crowd is turned away beyond what may wait; another network's one password is checked all the same. */
static void a_crowd_is_turned_away(void **state)
{
    Throttle *throttle = throttle_new();
    Logins *logins = logins_new(throttle, 2, NULL);
    Seen crowd = {0}, other = {0};
    (void)state;
    for (guint i = 0; i < 3 * LOGINS_WAITING; i++) {
        logins_check(logins, HERE, "mallory", "guess", NULL, on_done, &crowd);
    }
    g_autofree char *hash = password_hash("correct horse", NULL);
    logins_check(logins, THERE, "alice", "correct horse", hash, on_done, &other);
    wait_for(&other, 1);
    wait_for(&crowd, 3 * LOGINS_WAITING);
    assert_int_equal(other.verdicts[LOGIN_RIGHT], 1);
    assert_true(crowd.verdicts[LOGIN_BUSY] >= LOGINS_WAITING);
    assert_true(crowd.verdicts[LOGIN_WRONG] >= 1);
    assert_int_equal(crowd.verdicts[LOGIN_RIGHT], 0);
    logins_free(logins);
    throttle_free(throttle);
}

static void the_end_answers_all(void **state)
{
    Throttle *throttle = throttle_new();
    Logins *logins = logins_new(throttle, 1, NULL);
    Seen seen = {0};
    (void)state;
    for (guint i = 0; i < 20; i++) {
        logins_check(logins, 100 + i, "nobody", "guess", NULL, on_done, &seen);
    }
    logins_stop(logins);
    logins_check(logins, HERE, "nobody", "guess", NULL, on_done, &seen);
    assert_int_equal(seen.count, 21);
    assert_int_equal(seen.verdicts[LOGIN_BUSY] + seen.verdicts[LOGIN_WRONG], 21);
    logins_free(logins);
    throttle_free(throttle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_double),
        cmocka_unit_test(nobody_else_waits),
        cmocka_unit_test(many_networks_guess),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(right_ones_are_remembered),
        cmocka_unit_test(guesses_at_once),
        cmocka_unit_test(a_crowd_is_turned_away),
        cmocka_unit_test(the_end_answers_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
