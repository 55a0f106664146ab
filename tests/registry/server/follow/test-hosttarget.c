/* What a host is told to run: by what the channel names, the move that led there, and what hosts have reported. */
#include "../fixture.h"

#include "base/json.h"
#include "server/channel/promotion.h"
#include "server/follow/hosts.h"
#include "server/follow/hosttarget.h"
#include "server/follow/ledger.h"
#include "server/storage/channels.h"
#include "server/storage/moves.h"

#define PHASED                                                                                                         \
    "{\"channels\":[{\"name\":\"stable\",\"rollout\":{\"percent\":[5,100],\"wait\":\"1h\","                            \
    "\"stop_after_failures\":2}}]}"
#define WITHOUT "{\"channels\":[{\"name\":\"other\"}]}"

static const StorageActor alice = {.name = "alice"};

typedef struct {
    Storage *storage;
    Database *ledger;
} Server;

static Server open_server(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "data");
    g_autoptr(GError) error = NULL;
    Storage *storage = open_storage(state);
    Database *ledger = ledger_open(path, &error);
    if (ledger == NULL) {
        fail_msg("%s", error->message);
    }
    return (Server){storage, ledger};
}

static void close_server(Server *server)
{
    database_close(server->ledger);
    storage_close(server->storage);
}

static GPtrArray *pipeline_of_a(const GPtrArray *now, gpointer body, GError **error)
{
    (void)now, (void)error;
    GPtrArray *pipelines = g_ptr_array_new_with_free_func((GDestroyNotify)pipeline_unref);
    g_ptr_array_add(pipelines, pipeline_new("a", body));
    return pipelines;
}

static void apply(const Server *server, const char *text)
{
    g_autoptr(json_t) body = ingot_json_parse(text, strlen(text), "test", NULL);
    assert_true(storage_change_pipelines(server->storage, &alice, pipeline_of_a, body, NULL));
}

/* Whether the channel was moved. */
static gboolean promote(const Server *server, const char *from)
{
    g_autoptr(GError) error = NULL;
    g_auto(PromotionResult) result = {0};
    const Promotion promotion = {.storage = server->storage,
                                 .name = "a",
                                 .channel = "stable",
                                 .from = from,
                                 .actor = &alice,
                                 .ledger = server->ledger};
    if (!promotion_run(&promotion, &result, &error)) {
        fail_msg("%s", error->message);
    }
    return result.moved;
}

/* What a host, among the first or the last, which runs that (NULL: nothing), is told: a digest, or a text that begins
 * so. */
static void assert_told_to(const Server *server, double wariness, const IngotDigest *runs, const IngotDigest *digest,
                           const char *why)
{
    g_autoptr(GError) error = NULL;
    const RolloutHost host = {.name = "a", .host = "h", .id = "", .group = "", .wariness = wariness};
    g_autoptr(HostTarget) target =
        host_target_new(server->storage, server->ledger, "a", "stable", g_get_real_time() / G_USEC_PER_SEC, &error);
    g_autoptr(json_t) told = target == NULL ? NULL : host_target_tell(target, &host, runs, &error);
    if (told == NULL) {
        fail_msg("%s", error->message);
    }
    g_autofree char *expected = digest == NULL ? NULL : ingot_digest_to_text(digest);
    const char *is = json_string_value(json_object_get(told, digest == NULL ? "why" : "digest"));
    if (is == NULL || !g_str_has_prefix(is, digest == NULL ? why : expected)) {
        g_autofree char *text = ingot_json_canonical(told);
        fail_msg("%s, not %s", text, digest == NULL ? why : expected);
    }
}

static void assert_told(const Server *server, double wariness, const IngotDigest *digest, const char *why)
{
    assert_told_to(server, wariness, NULL, digest, why);
}

/* A tag that was pushed while it was no channel: the channel's last move tells nothing of it. */
static void a_move_that_led_elsewhere_does_not_count(void **state)
{
    Server server = open_server(state);
    IngotDigest one = put_manifest(server.storage, "a", "1.0.0", "one", NULL, 0);
    IngotDigest two = put_manifest(server.storage, "a", "2.0.0", "two", NULL, 0);
    apply(&server, PHASED);
    assert_true(promote(&server, "1.0.0"));
    assert_false(promote(&server, "1.0.0"));
    assert_told(&server, 0, &one, NULL);
    assert_told(&server, 1, NULL, "phase 2 of 2");
    apply(&server, WITHOUT);
    put_manifest(server.storage, "a", "stable", "two", NULL, 0);
    apply(&server, PHASED);
    assert_told(&server, 0, &two, NULL);
    assert_told(&server, 1, &two, NULL);
    assert_true(promote(&server, "2.0.0")); /* from now on it is known since when */
    assert_told(&server, 0, &two, NULL);
    assert_told(&server, 1, NULL, "phase 2 of 2");
    assert_false(promote(&server, "2.0.0"));
    close_server(&server);
}

/* As a cache has it whose channel an upstream has moved: it is known since when. */
static void what_an_upstream_has_moved_goes_out_in_phases(void **state)
{
    Server server = open_server(state);
    const char *text = "{\"layers\":[],\"text\":\"there\"}";
    g_autoptr(GArray) none = g_array_new(FALSE, FALSE, sizeof(Mention));
    const StorageManifest cached = {.data = text,
                                    .size = strlen(text),
                                    .type = "application/vnd.oci.image.manifest.v1+json",
                                    .tag = "stable",
                                    .mentions = none,
                                    .partial = TRUE,
                                    .cached = TRUE};
    IngotDigest there;
    apply(&server, PHASED);
    assert_true(storage_put_manifest(server.storage, "a", &cached, &there, NULL));
    assert_told(&server, 0, &there, NULL);
    assert_told(&server, 1, NULL, "phase 2 of 2");
    assert_true(promote(&server, "stable")); /* from now on it is ours */
    assert_false(promote(&server, "stable"));
    close_server(&server);
}

static void fail_on(const Server *server, const char *host, const IngotDigest *digest)
{
    g_autofree char *text = ingot_digest_to_text(digest);
    g_autoptr(GArray) moves = storage_moves(server->storage, "a", "stable", 0, 1, NULL);
    const HostReport report = {.name = "a",
                               .channel = "stable",
                               .user = "-",
                               .host = host,
                               .id = "",
                               .group = "",
                               .digest = text,
                               .result = "failed",
                               .failure = "it broke",
                               .begun = TRUE,
                               .since = 1000,
                               .move = g_array_index(moves, StorageMove, 0).number};
    assert_true(hosts_put(server->ledger, &report, g_get_real_time() / G_USEC_PER_SEC, NULL));
}

/* The image may be a good one, and the hosts were what failed. */
static void another_promotion_of_the_same_ends_a_stop(void **state)
{
    Server server = open_server(state);
    IngotDigest one = put_manifest(server.storage, "a", "1.0.0", "one", NULL, 0);
    apply(&server, PHASED);
    assert_true(promote(&server, "1.0.0"));
    fail_on(&server, "x", &one);
    assert_false(promote(&server, "1.0.0")); /* it goes on */
    fail_on(&server, "y", &one);
    assert_told(&server, 0, NULL, "the rollout is stopped: 2 hosts have failed with it (x, y)");
    assert_true(promote(&server, "1.0.0"));
    assert_told(&server, 0, &one, NULL);
    assert_told(&server, 1, NULL, "phase 2 of 2");
    fail_on(&server, "x", &one); /* as they said before: that was in the last one */
    fail_on(&server, "y", &one);
    assert_told(&server, 0, &one, NULL);
    assert_false(promote(&server, "1.0.0"));
    close_server(&server);
}

#define BARRIER "{\"channels\":[{\"name\":\"stable\",\"rollout\":{\"barriers\":[\"1.4.0\"]}}]}"

static void roll_back(const Server *server)
{
    g_autoptr(GError) error = NULL;
    g_auto(PromotionResult) result = {0};
    const Promotion promotion = {.storage = server->storage, .name = "a", .channel = "stable", .actor = &alice};
    if (!promotion_roll_back(&promotion, &result, &error)) {
        fail_msg("%s", error->message);
    }
}

/* Why not all hosts have their turn; free it. NULL: all have. */
static char *why_not_all(const Server *server)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(HostTarget) target =
        host_target_new(server->storage, server->ledger, "a", "stable", g_get_real_time() / G_USEC_PER_SEC, &error);
    g_autoptr(json_t) told = target == NULL ? NULL : host_target_rollout(target, &error);
    assert_null(error);
    return g_strdup(json_string_value(json_object_get(told, "why")));
}

/* The bad version was removed at once, so that nobody takes it: what its hosts run has no version any more. */
static void a_rollback_leads_to_no_barrier_that_was_passed(void **state)
{
    Server server = open_server(state);
    IngotDigest old = put_manifest(server.storage, "a", "1.3.0", "old", NULL, 0);
    IngotDigest barrier = put_manifest(server.storage, "a", "1.4.0", "barrier", NULL, 0);
    IngotDigest good = put_manifest(server.storage, "a", "1.5.0", "good", NULL, 0);
    IngotDigest bad = put_manifest(server.storage, "a", "3.0.0", "bad", NULL, 0);
    IngotDigest next = put_manifest(server.storage, "a", "1.6.0", "next", NULL, 0), strange;
    ingot_digest_of("strange", 7, &strange);
    apply(&server, BARRIER);
    assert_true(promote(&server, "1.5.0"));
    assert_true(promote(&server, "3.0.0"));
    assert_true(storage_remove_tag(server.storage, &alice, "a", "3.0.0", NULL));
    roll_back(&server);
    assert_told_to(&server, 0, &bad, &good, NULL);
    assert_told_to(&server, 0, &old, &barrier, NULL); /* it was away: it has skipped nothing yet */
    assert_told_to(&server, 0, &strange, &barrier, NULL);
    assert_true(promote(&server, "1.6.0"));
    assert_told_to(&server, 0, &bad, &next, NULL);
    close_server(&server);
}

static void report_done(const Server *server, const char *host, const IngotDigest *digest)
{
    g_autofree char *text = ingot_digest_to_text(digest);
    const HostReport report = {.name = "a",
                               .channel = "stable",
                               .user = "-",
                               .host = host,
                               .id = "",
                               .group = "",
                               .digest = text,
                               .result = "done",
                               .failure = "",
                               .since = 1000};
    assert_true(hosts_put(server->ledger, &report, g_get_real_time() / G_USEC_PER_SEC, NULL));
}

static void who_waits_for_a_barrier_that_is_gone_is_listed(void **state)
{
    Server server = open_server(state);
    IngotDigest old = put_manifest(server.storage, "a", "1.3.0", "old", NULL, 0);
    IngotDigest passed = put_manifest(server.storage, "a", "1.5.0", "passed", NULL, 0);
    put_manifest(server.storage, "a", "1.4.0", "barrier", NULL, 0);
    put_manifest(server.storage, "a", "2.0.0", "target", NULL, 0);
    apply(&server, BARRIER);
    assert_true(promote(&server, "2.0.0"));
    report_done(&server, "late", &old);
    report_done(&server, "good", &passed);
    g_autofree char *all = why_not_all(&server);
    assert_null(all);
    assert_true(storage_remove_tag(server.storage, &alice, "a", "1.4.0", NULL));
    assert_told_to(&server, 0, &old, NULL, "1.4.0 has to be passed first");
    g_autofree char *why = why_not_all(&server);
    assert_string_equal(why, "1 host has to pass 1.4.0 first, which is not there (late)");
    close_server(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_an_upstream_has_moved_goes_out_in_phases, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_move_that_led_elsewhere_does_not_count, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_promotion_of_the_same_ends_a_stop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_rollback_leads_to_no_barrier_that_was_passed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_waits_for_a_barrier_that_is_gone_is_listed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
