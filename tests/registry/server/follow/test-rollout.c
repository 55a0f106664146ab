/* Rollouts: which phases are open, which host is in which, what stops one, and which version is passed first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "server/follow/rollout.h"

#define HOUR 3600
#define PERCENT "{\"percent\": [5, 25, 100], \"wait\": \"1h\", \"stop_after_failures\": 2}"
#define GROUPS "{\"groups\": [\"canary\", [\"eu\", \"us\"]], \"wait\": \"1h\"}"

static json_t *parse(const char *text)
{
    json_t *rules = ingot_json_parse(text, strlen(text), "test", NULL);
    assert_non_null(rules);
    return rules;
}

static void assert_open(const char *text, gint64 now, guint open, gint64 next)
{
    g_autoptr(json_t) rules = parse(text);
    const Rollout rollout = {.rules = rules, .since = 1000, .now = now};
    gint64 found = -1;
    assert_int_equal(rollout_open(&rollout, &found), open);
    assert_int_equal(found, next);
}

static void phases_open_one_after_another(void **state)
{
    (void)state;
    assert_open(PERCENT, 1000, 1, 1000 + HOUR);
    assert_open(PERCENT, 1000 + HOUR - 1, 1, 1000 + HOUR);
    assert_open(PERCENT, 1000 + HOUR, 2, 1000 + 2 * HOUR);
    assert_open(PERCENT, 1000 + 2 * HOUR, 3, 0);
    assert_open(PERCENT, G_MAXINT64, 3, 0);
    assert_open(GROUPS, 1000, 1, 1000 + HOUR);
    assert_open(GROUPS, 1000 + HOUR, 2, 0);
    assert_open("{\"percent\": [100]}", 1000, 1, 0);
    assert_open("{\"stop_after_failures\": 1}", 1000, 1, 0);
    assert_open("{\"percent\": [1, 100], \"wait\": \"0\"}", 1000, 2, 0);
}

static void a_clock_that_was_set_back_closes_all_but_the_first(void **state)
{
    (void)state;
    assert_open(PERCENT, 0, 1, 1000 + HOUR);
    assert_open(PERCENT, G_MININT64, 1, 1000 + HOUR);
}

static void a_wait_without_end_is_still_a_time(void **state)
{
    (void)state;
    assert_open("{\"percent\": [1, 100], \"wait\": \"18446744073709551615\"}", 1000, 1, 1000 + 3650 * 24 * HOUR);
}

static void a_rollback_is_for_all_and_nothing_stops_it(void **state)
{
    (void)state;
    g_autoptr(json_t) rules = parse(PERCENT);
    gint64 next;
    const Rollout rollout = {.rules = rules, .since = 1000, .now = 1000, .at_once = TRUE, .failures = 100};
    assert_int_equal(rollout_open(&rollout, &next), 3);
    assert_int_equal(next, 0);
    assert_false(rollout_is_stopped(&rollout));
}

static void without_rules_there_is_one_phase(void **state)
{
    (void)state;
    gint64 next;
    const RolloutHost host = {.name = "a", .host = "h", .id = "", .group = "", .wariness = -1};
    const Rollout rollout = {.since = 1000, .now = 0, .failures = 100};
    assert_int_equal(rollout_phases(&rollout), 1);
    assert_int_equal(rollout_open(&rollout, &next), 1);
    assert_int_equal(rollout_phase(&rollout, &host), 0);
    assert_false(rollout_is_stopped(&rollout));
    assert_null(rollout_barrier(NULL, "1.0.0", "2.0.0"));
}

static void failures_stop_it(void **state)
{
    (void)state;
    g_autoptr(json_t) rules = parse(PERCENT), endless = parse(GROUPS);
    Rollout rollout = {.rules = rules, .since = 1000, .now = 1000};
    for (guint failures = 0; failures < 4; failures++) {
        rollout.failures = failures;
        assert_int_equal(rollout_is_stopped(&rollout), failures >= 2);
    }
    rollout.rules = endless;
    assert_false(rollout_is_stopped(&rollout));
}

static guint phase_of(const char *text, const char *host, const char *group, double wariness)
{
    g_autoptr(json_t) rules = parse(text);
    const Rollout rollout = {.rules = rules};
    const RolloutHost one = {.name = "team/web", .host = host, .id = "", .group = group, .wariness = wariness};
    return rollout_phase(&rollout, &one);
}

static void wariness_is_a_place(void **state)
{
    (void)state;
    static const struct {
        double wariness;
        guint phase;
    } cases[] = {{0, 0}, {0.0499, 0}, {0.05, 1}, {0.2, 1}, {0.25, 2}, {0.9, 2}, {1, 2}};
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        assert_int_equal(phase_of(PERCENT, "h", "canary", cases[i].wariness), cases[i].phase);
    }
}

/* Of many hosts each phase gets its share, the same ones each time, and others for another repository. */
static void hosts_are_spread(void **state)
{
    (void)state;
    guint counts[3] = {0}, others = 0;
    g_autoptr(json_t) rules = parse(PERCENT);
    const Rollout rollout = {.rules = rules};
    for (guint i = 0; i < 10000; i++) {
        g_autofree char *name = g_strdup_printf("host-%u", i);
        const RolloutHost web = {.name = "team/web", .host = name, .id = "", .group = "", .wariness = -1},
                          db = {.name = "team/db", .host = name, .id = "", .group = "", .wariness = -1};
        guint phase = rollout_phase(&rollout, &web);
        assert_int_equal(phase, rollout_phase(&rollout, &web));
        counts[phase]++;
        others += rollout_phase(&rollout, &db) != phase ? 1 : 0;
    }
    assert_in_range(counts[0], 400, 600);
    assert_in_range(counts[1], 1800, 2200);
    assert_in_range(counts[2], 7300, 7700);
    assert_true(others > 1000);
    assert_int_equal(phase_of(PERCENT, "web-1.example", "", -1), 0); /* for ever */
    assert_int_equal(phase_of(PERCENT, "web-3.example", "", -1), 1);
    assert_int_equal(phase_of(PERCENT, "web-4.example", "", -1), 2);
    assert_int_equal(phase_of("{\"percent\": [100]}", "h", "", 1), 0);
}

static void a_group_names_its_phase(void **state)
{
    (void)state;
    const char *three = "{\"groups\": [[\"canary\"], [\"eu\", \"us\"], [\"rest\"]], \"wait\": \"1h\"}";
    assert_int_equal(phase_of(GROUPS, "h", "canary", 1), 0);
    assert_int_equal(phase_of(GROUPS, "h", "us", -1), 1);
    assert_int_equal(phase_of(three, "h", "us", -1), 1);
    assert_int_equal(phase_of(three, "h", "made-up", -1), 2);
    assert_int_equal(phase_of(three, "h", "", 0), 2);
}

static void assert_barrier(const char *runs, const char *target, const char *barrier)
{
    g_autoptr(json_t) rules = parse("{\"barriers\": [\"2.0.0\", \"1.4.0\"]}");
    const char *found = rollout_barrier(rules, runs, target);
    if (g_strcmp0(found, barrier) != 0) {
        fail_msg("from %s to %s: %s, not %s", runs, target, found, barrier);
    }
}

static void barriers_are_passed_in_their_order(void **state)
{
    (void)state;
    assert_barrier("1.0.0", "3.0.0", "1.4.0");
    assert_barrier("1.4.0", "3.0.0", "2.0.0");
    assert_barrier("2.0.0", "3.0.0", NULL);
    assert_barrier("1.0.0", "1.9.0", "1.4.0");
    assert_barrier("1.0.0", "1.4.0", NULL); /* itself */
    assert_barrier("1.0.0", "1.3.9", NULL);
    assert_barrier("3.0.0", "1.0.0", NULL); /* back */
    assert_barrier("1.4.0-rc1", "3.0.0", "1.4.0");
    assert_barrier(NULL, "3.0.0", "1.4.0"); /* a version that is gone */
    assert_barrier("1.0.0", NULL, NULL);
}

/* Machines of one image, none of which has a name of its own. */
static void hosts_of_one_name_are_spread_by_their_ids(void **state)
{
    (void)state;
    guint first = 0;
    g_autoptr(json_t) rules = parse(PERCENT);
    const Rollout rollout = {.rules = rules};
    for (guint i = 0; i < 10000; i++) {
        g_autofree char *id = g_strdup_printf("id-%u", i);
        const RolloutHost host = {.name = "team/web", .host = "localhost", .id = id, .group = "", .wariness = -1};
        first += rollout_phase(&rollout, &host) == 0;
    }
    assert_in_range(first, 400, 600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phases_open_one_after_another),
        cmocka_unit_test(a_clock_that_was_set_back_closes_all_but_the_first),
        cmocka_unit_test(a_wait_without_end_is_still_a_time),
        cmocka_unit_test(a_rollback_is_for_all_and_nothing_stops_it),
        cmocka_unit_test(without_rules_there_is_one_phase),
        cmocka_unit_test(failures_stop_it),
        cmocka_unit_test(wariness_is_a_place),
        cmocka_unit_test(hosts_are_spread),
        cmocka_unit_test(hosts_of_one_name_are_spread_by_their_ids),
        cmocka_unit_test(a_group_names_its_phase),
        cmocka_unit_test(barriers_are_passed_in_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
