/* What hosts report: checked, the last one of each kept, the silent ones forgotten, and room left for the others. */
#include "../fixture.h"

#include "server/follow/hosts.h"
#include "server/follow/ledger.h"

static Database *open_ledger(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = ingot_workdir_file(*state, "data");
    g_mkdir(path, 0700);
    Database *ledger = ledger_open(path, &error);
    if (ledger == NULL) {
        fail_msg("%s", error->message);
    }
    return ledger;
}

static const HostReport sample = {.name = "team/web",
                                  .channel = "prod",
                                  .user = "alice",
                                  .host = "one",
                                  .id = "",
                                  .group = "canary",
                                  .digest = "",
                                  .result = "done",
                                  .failure = "",
                                  .begun = TRUE,
                                  .since = 1000};

static json_t *list(Database *ledger, const char *channel, gint64 now)
{
    json_t *rows = hosts_list(ledger, "team/web", channel, now, NULL);
    assert_non_null(rows);
    return rows;
}

static void test_last_report_counts(void **state)
{
    g_autoptr(Database) ledger = open_ledger(state);
    HostReport report = sample;
    assert_true(hosts_put(ledger, &report, 2000, NULL));
    report.result = "failed";
    report.failure = "it broke";
    assert_true(hosts_put(ledger, &report, 3000, NULL));
    report.host = "two";
    report.channel = "dev";
    assert_true(hosts_put(ledger, &report, 3000, NULL));
    g_autoptr(json_t) all = list(ledger, NULL, 3000), prod = list(ledger, "prod", 3000);
    assert_int_equal(json_array_size(all), 2);
    assert_int_equal(json_array_size(prod), 1);
    const json_t *row = json_array_get(prod, 0);
    assert_string_equal(json_string_value(json_object_get(row, "result")), "failed");
    assert_string_equal(json_string_value(json_object_get(row, "failure")), "it broke");
    assert_string_equal(json_string_value(json_object_get(row, "seen")), "1970-01-01T00:50:00Z");
}

#define ONE "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define TWO "sha256:2222222222222222222222222222222222222222222222222222222222222222"

static void say(Database *ledger, const char *host, const char *result, const char *digest, guint64 move)
{
    HostReport report = sample;
    report.host = host;
    report.result = result;
    report.digest = digest;
    report.move = move;
    assert_true(hosts_put(ledger, &report, 1000, NULL));
}

/* "HOST DIGEST'S FIRST DIGIT,": those that have failed since a move, as of then. */
static void assert_failed_at(Database *ledger, guint64 move, gint64 now, const char *expected)
{
    gsize index;
    const json_t *row;
    g_autoptr(GString) found = g_string_new(NULL);
    g_autoptr(json_t) rows = hosts_failed(ledger, "team/web", "prod", move, now, NULL);
    assert_non_null(rows);
    json_array_foreach(rows, index, row)
    {
        g_string_append_printf(found, "%s %c,", json_string_value(json_object_get(row, "host")),
                               json_string_value(json_object_get(row, "digest"))[7]);
    }
    assert_string_equal(found->str, expected);
}

static void assert_failed(Database *ledger, guint64 move, const char *expected)
{
    assert_failed_at(ledger, move, 1000, expected);
}

/* Its command has taken it down, and it does not come back; one that goes on says so. */
static void test_who_goes_silent_has_failed(void **state)
{
    g_autoptr(Database) ledger = open_ledger(state);
    HostReport report = sample;
    gint64 late = 1001 + HOSTS_SILENT;
    say(ledger, "a", "running", TWO, 5);
    say(ledger, "b", "running", TWO, 5);
    say(ledger, "c", "done", TWO, 5);
    assert_failed_at(ledger, 5, late - 1, "");
    assert_failed_at(ledger, 5, late, "a 2,b 2,");
    assert_failed_at(ledger, 6, late, "");
    report.host = "b";
    report.result = "running";
    report.digest = TWO;
    report.move = 6; /* it still runs what it has begun before */
    assert_true(hosts_put(ledger, &report, late, NULL));
    assert_failed_at(ledger, 5, late, "a 2,");
    assert_failed_at(ledger, 5, late + HOSTS_SILENT + 1, "a 2,b 2,");
    assert_failed_at(ledger, 6, late + HOSTS_SILENT + 1, "");
    assert_failed_at(ledger, 5, 1001 + HOSTS_LIFE, "a 2,b 2,");
    report.host = "other";
    report.result = "done";
    report.move = 5;
    assert_true(hosts_put(ledger, &report, late + HOSTS_LIFE + 1, NULL)); /* who is silent for long is forgotten */
    assert_failed_at(ledger, 5, late + HOSTS_LIFE + 1, "a 2,b 2,");
    report.host = "b";
    assert_true(hosts_put(ledger, &report, late + HOSTS_LIFE + 1, NULL));
    assert_failed_at(ledger, 5, late + HOSTS_LIFE + 1, "a 2,");
}

/* Machines of one image that have no names of their own: one's success takes nothing back of another's failure. */
static void test_hosts_of_one_name_are_told_apart(void **state)
{
    g_autoptr(Database) ledger = open_ledger(state);
    HostReport report = sample;
    say(ledger, "one", "failed", ONE, 5); /* by a follower of before */
    report.id = "first";
    report.digest = TWO;
    report.result = "failed";
    report.move = 6;
    assert_true(hosts_put(ledger, &report, 1000, NULL));
    assert_failed(ledger, 5, "one 2,");
    report.id = "second";
    report.result = "done";
    assert_true(hosts_put(ledger, &report, 1000, NULL));
    assert_failed(ledger, 6, "one 2,");
    report.result = "failed";
    report.since = 1001;
    assert_true(hosts_put(ledger, &report, 1001, NULL));
    assert_failed(ledger, 6, "one 2,one 2,");
    g_autoptr(json_t) all = list(ledger, "prod", 1001);
    assert_int_equal(json_array_size(all), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(all, 0), "id")), "first");
    assert_string_equal(json_string_value(json_object_get(json_array_get(all, 1), "id")), "second");
}

/* A host that tries again has failed until it has done it. */
static void test_failures_last_until_it_is_done(void **state)
{
    g_autoptr(Database) ledger = open_ledger(state);
    assert_failed(ledger, 0, "");
    say(ledger, "b", "failed", TWO, 5);
    say(ledger, "a", "failed", TWO, 5);
    assert_failed(ledger, 5, "a 2,b 2,");
    assert_failed(ledger, 6, "");
    say(ledger, "a", "running", TWO, 0);
    say(ledger, "b", "done", ONE, 0);
    assert_failed(ledger, 5, "a 2,b 2,");
    say(ledger, "a", "done", TWO, 0);
    assert_failed(ledger, 5, "b 2,");
    say(ledger, "b", "failed", ONE, 7);
    assert_failed(ledger, 5, "b 1,");
    assert_failed(ledger, 7, "b 1,");
}

/* What failed before the image's command had begun says nothing of the image. */
static void test_what_did_not_begin_does_not_count(void **state)
{
    g_autoptr(Database) ledger = open_ledger(state);
    HostReport report = sample;
    report.host = "a";
    report.result = "failed";
    report.digest = TWO;
    report.begun = FALSE;
    report.move = 5;
    assert_true(hosts_put(ledger, &report, 1000, NULL));
    assert_failed(ledger, 5, "");
    say(ledger, "b", "failed", TWO, 5);
    report.host = "b";
    report.since = 1001;
    assert_true(hosts_put(ledger, &report, 1001, NULL));
    assert_failed(ledger, 5, "b 2,");
    g_autoptr(json_t) all = list(ledger, NULL, 1001);
    assert_string_equal(json_string_value(json_object_get(json_array_get(all, 0), "result")), "failed");
}

/* A host that waits says its failure again; that is one of before the next move. */
static void test_a_failure_told_again_is_the_same(void **state)
{
    g_autoptr(Database) ledger = open_ledger(state);
    HostReport report = sample;
    report.result = "failed";
    report.digest = TWO;
    report.move = 5;
    assert_true(hosts_put(ledger, &report, 1000, NULL));
    report.move = 6;
    assert_true(hosts_put(ledger, &report, 2000, NULL));
    assert_failed(ledger, 5, "one 2,");
    assert_failed(ledger, 6, "");
    g_autoptr(json_t) all = list(ledger, NULL, 2000);
    assert_string_equal(json_string_value(json_object_get(json_array_get(all, 0), "seen")), "1970-01-01T00:33:20Z");
    report.since = 1001;
    assert_true(hosts_put(ledger, &report, 2001, NULL));
    assert_failed(ledger, 6, "one 2,");
}

/* A host that fails and is not heard of again has not succeeded: only another move lets it be forgotten. */
static void test_a_silent_failure_lasts_as_long_as_the_move(void **state)
{
    g_autoptr(Database) ledger = open_ledger(state);
    HostReport report = sample;
    say(ledger, "a", "failed", TWO, 5);
    report.host = "other";
    report.move = 5;
    assert_true(hosts_put(ledger, &report, 1001 + HOSTS_LIFE, NULL));
    assert_failed(ledger, 5, "a 2,");
    g_autoptr(json_t) kept = list(ledger, NULL, 1001 + HOSTS_LIFE);
    assert_int_equal(json_array_size(kept), 2);
    report.channel = "dev";
    report.move = 6; /* of another channel */
    assert_true(hosts_put(ledger, &report, 1001 + HOSTS_LIFE, NULL));
    assert_failed(ledger, 5, "a 2,");
    report.channel = "prod";
    assert_true(hosts_put(ledger, &report, 1001 + HOSTS_LIFE, NULL));
    assert_failed(ledger, 5, "");
    g_autoptr(json_t) left = list(ledger, "prod", 1001 + HOSTS_LIFE);
    assert_int_equal(json_array_size(left), 1);
}

static void test_silent_hosts_are_forgotten(void **state)
{
    g_autoptr(Database) ledger = open_ledger(state);
    HostReport report = sample;
    assert_true(hosts_put(ledger, &report, 1000, NULL));
    g_autoptr(json_t) kept = list(ledger, NULL, 1000 + HOSTS_LIFE), gone = list(ledger, NULL, 1001 + HOSTS_LIFE);
    assert_int_equal(json_array_size(kept), 1);
    assert_int_equal(json_array_size(gone), 0);
}

static void test_silent_hosts_of_other_names_go_too(void **state)
{
    g_autoptr(Database) ledger = open_ledger(state);
    HostReport report = sample;
    assert_true(hosts_put(ledger, &report, 1000, NULL));
    report.name = "team/other";
    assert_true(hosts_put(ledger, &report, 1001 + HOSTS_LIFE, NULL));
    g_autoptr(json_t) then = list(ledger, NULL, 1000); /* as if it were still that time */
    assert_int_equal(json_array_size(then), 0);
}

static void test_nobody_speaks_for_another(void **state)
{
    g_autoptr(Database) ledger = open_ledger(state);
    HostReport report = sample;
    assert_true(hosts_put(ledger, &report, 1000, NULL));
    report.user = "mallory";
    report.result = "failed";
    assert_true(hosts_put(ledger, &report, 2000, NULL));
    report.user = "-";
    assert_true(hosts_put(ledger, &report, 2000, NULL));
    g_autoptr(json_t) all = list(ledger, "prod", 2000);
    assert_int_equal(json_array_size(all), 3);
    assert_null(json_object_get(json_array_get(all, 0), "by"));
    const json_t *first = json_array_get(all, 1), *other = json_array_get(all, 2);
    assert_string_equal(json_string_value(json_object_get(first, "by")), "alice");
    assert_string_equal(json_string_value(json_object_get(first, "result")), "done");
    assert_string_equal(json_string_value(json_object_get(other, "by")), "mallory");
}

/* Reports of hosts that are there no more, sent one each second from the first one on; name NULL: each of another. */
static void fill(Database *ledger, const char *user, const char *name, gint64 count)
{
    Connection *writer = database_begin(ledger, NULL);
    assert_non_null(writer);
    gboolean ok = database_run(writer, NULL,
                               "WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n+1 FROM n WHERE n+1<?3)"
                               " INSERT INTO hosts (name, channel, host, user, grp, digest, result, failure, since,"
                               " seen) SELECT coalesce(?2, 'made/up' || n), 'prod', 'host-' || n, ?1, '',"
                               " '', 'done', '', 0, 1000+n FROM n",
                               "tti", user, name, count);
    assert_true(database_end(ledger, ok, NULL));
}

static gboolean has(const json_t *rows, const char *host)
{
    for (gsize i = 0; i < json_array_size(rows); i++) {
        if (strcmp(json_string_value(json_object_get(json_array_get(rows, i), "host")), host) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

/* The one that was silent for the longest makes room. */
static void test_as_many_as_may_be(void **state)
{
    g_autoptr(Database) ledger = open_ledger(state);
    fill(ledger, "alice", "team/web", HOSTS_MOST);
    HostReport report = sample;
    report.host = "new";
    assert_true(hosts_put(ledger, &report, 100000, NULL));
    g_autoptr(json_t) all = list(ledger, NULL, 100000);
    assert_int_equal(json_array_size(all), HOSTS_MOST);
    assert_true(has(all, "new"));
    assert_true(has(all, "host-1"));
    assert_false(has(all, "host-0"));
}

/* Whoever invents hosts pushes out no one else's, of a name or of all. */
static void test_invented_hosts_make_room(void **state)
{
    g_autoptr(Database) ledger = open_ledger(state);
    HostReport report = sample;
    assert_true(hosts_put(ledger, &report, 10, NULL)); /* silent for longer than any other */
    fill(ledger, "mallory", "team/web", HOSTS_MOST - 1);
    report.user = "mallory";
    report.host = "new";
    assert_true(hosts_put(ledger, &report, 200000, NULL));
    g_autoptr(json_t) of_name = list(ledger, NULL, 200000);
    assert_int_equal(json_array_size(of_name), HOSTS_MOST);
    assert_true(has(of_name, sample.host) && has(of_name, "new") && has(of_name, "host-1"));
    assert_false(has(of_name, "host-0"));

    fill(ledger, "mallory", NULL, HOSTS_MOST_OF_ALL - HOSTS_MOST);
    report.name = "team/other";
    assert_true(hosts_put(ledger, &report, 200001, NULL));
    g_autoptr(json_t) in_all = list(ledger, NULL, 200001), oldest = hosts_list(ledger, "made/up0", NULL, 200001, NULL),
                      next = hosts_list(ledger, "made/up1", NULL, 200001, NULL);
    assert_true(has(in_all, sample.host));
    assert_int_equal(json_array_size(oldest), 0);
    assert_int_equal(json_array_size(next), 1);
}

static void refuse(const char *text, const char *word)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(json_t) json = json_loads(text, 0, NULL);
    HostReport report;
    assert_non_null(json);
    assert_false(hosts_read(json, &report, &error));
    if (strstr(error->message, word) == NULL) {
        fail_msg("%s: %s", text, error->message);
    }
}

static void test_reports_are_checked(void **state)
{
    (void)state;
    HostReport report;
    g_autoptr(json_t) good =
        json_loads("{\"host\":\"a\",\"result\":\"done\",\"since\":\"2026-11-30T05:00:00Z\"}", 0, NULL);
    assert_true(hosts_read(good, &report, NULL));
    assert_int_equal(report.since, 1796014800);
    assert_string_equal(report.group, "");
    assert_string_equal(report.id, "");
    assert_true(report.begun);
    g_autoptr(json_t) before = json_loads(
        "{\"host\":\"a\",\"result\":\"failed\",\"begun\":false,\"since\":\"2026-11-30T05:00:00Z\"}", 0, NULL);
    assert_true(hosts_read(before, &report, NULL));
    assert_false(report.begun);
    refuse("{\"host\":\"a\",\"result\":\"failed\",\"begun\":0,\"since\":\"2026-11-30T05:00:00Z\"}", "\"begun\"");
    refuse("[]", "object");
    refuse("{\"result\":\"done\",\"since\":\"2026-11-30T05:00:00Z\"}", "\"host\"");
    refuse("{\"host\":\"\",\"result\":\"done\",\"since\":\"2026-11-30T05:00:00Z\"}", "\"host\"");
    refuse("{\"host\":\"a\\u001b\",\"result\":\"done\",\"since\":\"2026-11-30T05:00:00Z\"}", "\"host\"");
    refuse("{\"host\":\"a\",\"result\":\"fine\",\"since\":\"2026-11-30T05:00:00Z\"}", "\"result\"");
    refuse("{\"host\":\"a\",\"result\":\"done\",\"since\":\"yesterday\"}", "\"since\"");
    refuse("{\"host\":\"a\",\"result\":\"done\",\"since\":\"2026-11-30T05:00:00Z\",\"digest\":\"x\"}", "x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_last_report_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failures_last_until_it_is_done, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_goes_silent_has_failed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hosts_of_one_name_are_told_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_did_not_begin_does_not_count, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_failure_told_again_is_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_silent_failure_lasts_as_long_as_the_move, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_silent_hosts_are_forgotten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_silent_hosts_of_other_names_go_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nobody_speaks_for_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_as_many_as_may_be, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_invented_hosts_make_room, set_up, tear_down),
        cmocka_unit_test(test_reports_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
