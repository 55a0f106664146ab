/* What hosts report: checked, the last one of each kept, the silent ones forgotten. */
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
                                  .host = "one",
                                  .group = "canary",
                                  .digest = "",
                                  .result = "done",
                                  .failure = "",
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

static void test_silent_hosts_are_forgotten(void **state)
{
    g_autoptr(Database) ledger = open_ledger(state);
    HostReport report = sample;
    assert_true(hosts_put(ledger, &report, 1000, NULL));
    g_autoptr(json_t) kept = list(ledger, NULL, 1000 + HOSTS_LIFE), gone = list(ledger, NULL, 1001 + HOSTS_LIFE);
    assert_int_equal(json_array_size(kept), 1);
    assert_int_equal(json_array_size(gone), 0);
}

static gboolean fill(Database *ledger, GError **error)
{
    Connection *writer = database_begin(ledger, error);
    HostReport report = sample;
    gboolean ok = writer != NULL;
    for (guint i = 0; ok && i < HOSTS_MOST; i++) {
        g_autofree char *host = g_strdup_printf("host-%u", i);
        ok = database_run(writer, error,
                          "INSERT INTO hosts (name, channel, host, grp, digest, result, failure, since, seen) VALUES"
                          " (?, 'prod', ?, '', '', 'done', '', 0, ?)",
                          "tti", report.name, host, (gint64)1000 + i);
    }
    return writer != NULL && database_end(ledger, ok, error);
}

static void test_as_many_as_may_be(void **state)
{
    g_autoptr(Database) ledger = open_ledger(state);
    assert_true(fill(ledger, NULL));
    HostReport report = sample;
    report.host = "new";
    assert_true(hosts_put(ledger, &report, 100000, NULL));
    g_autoptr(json_t) all = list(ledger, NULL, 100000);
    assert_int_equal(json_array_size(all), HOSTS_MOST);
    gboolean has_new = FALSE;
    for (gsize i = 0; i < json_array_size(all); i++) {
        const char *host = json_string_value(json_object_get(json_array_get(all, i), "host"));
        has_new |= strcmp(host, "new") == 0;
        assert_string_not_equal(host, "host-0"); /* the one that was silent for the longest */
    }
    assert_true(has_new);
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
        cmocka_unit_test_setup_teardown(test_silent_hosts_are_forgotten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_as_many_as_may_be, set_up, tear_down),
        cmocka_unit_test(test_reports_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
