/* Which node a plan goes on from, and that nodes in use stay. */
#include "sample.h"

#include <unistd.h>
#include <utime.h>

#include "bundle/download.h"
#include "cache/draft.h"
#include "cache/house.h"
#include "cache/passed.h"

#define STEPS "[{shell: one}, {shell: two, max_age: 1h}, {shell: three}]"
#define NOW (SAMPLE_BEGAN + 100)

/* The name of the best node, or NULL. Free it. */
static char *best_of(const Sample *sample, const Plan *plan, const char *source, int refresh, gint64 now)
{
    g_autoptr(GPtrArray) nodes = nodes_list(sample->cache, NULL);
    assert_non_null(nodes);
    const Node *best = nodes_best(nodes, plan, source, refresh, now);
    return best == NULL ? NULL : g_strdup(node_name(best));
}

static void expect_best(const Sample *sample, const Plan *plan, int refresh, gint64 now, const char *expected)
{
    g_autofree char *name = best_of(sample, plan, sample->source, refresh, now);
    if (g_strcmp0(name, expected) != 0) {
        fail_msg("%s instead of %s", name, expected);
    }
}

/* One node for each stage of STEPS, each over the one before. */
static Plan *build_chain(Sample *sample)
{
    Plan *plan = sample_plan(sample, STEPS);
    sample_node(sample, plan, "boot", NULL, "a");
    sample_node(sample, plan, "one", "boot", "aa");
    sample_node(sample, plan, "two", "one", "aaa");
    sample_node(sample, plan, "three", "two", "aaaa");
    return plan;
}

/* --- the best --- */

static void the_deepest_is_the_best(void **state)
{
    g_autoptr(Plan) plan = build_chain(*state);
    expect_best(*state, plan, -1, NOW, "three");
}

static void no_node_is_none(void **state)
{
    g_autoptr(Plan) plan = sample_plan(*state, STEPS);
    expect_best(*state, plan, -1, NOW, NULL);
}

static void a_changed_step_leaves_what_was_before(void **state)
{
    Sample *sample = *state;
    g_autoptr(Plan) old = build_chain(sample);
    g_autoptr(Plan) plan = sample_plan(sample, "[{shell: one}, {shell: two!, max_age: 1h}, {shell: three}]");
    expect_best(sample, plan, -1, NOW, "one");
}

static void refresh_goes_back_behind_its_stage(void **state)
{
    static const char *const expected[] = {NULL, "boot", "one", "two"};
    g_autoptr(Plan) plan = build_chain(*state);
    for (int i = 0; i < (int)G_N_ELEMENTS(expected); i++) {
        expect_best(*state, plan, i, NOW, expected[i]);
    }
}

static void a_stage_too_old_rules_out_all_that_follow(void **state)
{
    g_autoptr(Plan) plan = build_chain(*state);
    expect_best(*state, plan, -1, SAMPLE_BEGAN + 3600, "three");
    expect_best(*state, plan, -1, SAMPLE_BEGAN + 3601, "one");
}

static void a_run_in_the_future_is_not_trusted(void **state)
{
    g_autoptr(Plan) plan = build_chain(*state);
    expect_best(*state, plan, -1, SAMPLE_BEGAN - 3600, "three");
    expect_best(*state, plan, -1, SAMPLE_BEGAN - 3601, NULL);
}

static void why_a_stage_is_stale(void **state)
{
    g_autoptr(Plan) plan = sample_plan(*state, STEPS);
    const PlanStage *stage = plan_stage(plan, 2);
    const NodeRun run = {.ran = SAMPLE_BEGAN}, ahead = {.ran = SAMPLE_BEGAN + 7200};
    assert_null(nodes_why_stale(stage, &run, NOW));
    g_autofree char *old = nodes_why_stale(stage, &run, SAMPLE_BEGAN + 7200);
    assert_non_null(strstr(old, "max_age"));
    g_autofree char *future = nodes_why_stale(stage, &ahead, SAMPLE_BEGAN);
    assert_non_null(strstr(future, "future"));
}

static void another_source_is_no_ground(void **state)
{
    Sample *sample = *state;
    g_autoptr(Plan) plan = build_chain(sample);
    g_autofree char *none = best_of(sample, plan, "/another/disk", -1, NOW);
    assert_null(none);
    g_autofree char *any = best_of(sample, plan, NULL, -1, NOW);
    assert_string_equal(any, "three");
}

/* What was built on the older run is passed over, though it has come further. */
static void the_newest_run_wins_over_the_deepest(void **state)
{
    Sample *sample = *state;
    g_autoptr(Plan) plan = build_chain(sample);
    sample_node(sample, plan, "one again", "boot", "ab");
    expect_best(sample, plan, -1, NOW, "one again");
    sample_node(sample, plan, "two again", "one again", "abc");
    expect_best(sample, plan, -1, NOW, "two again");
    sample_node(sample, plan, "boot again", NULL, "d");
    expect_best(sample, plan, -1, NOW, "boot again");
}

static void expect_passed(const Sample *sample, const Plan *plan, const char *source, guint stage, const char *why)
{
    g_autoptr(GPtrArray) nodes = nodes_list(sample->cache, NULL);
    const Node *best = nodes_best(nodes, plan, source, -1, NOW);
    g_autofree char *said = passed_why(nodes, plan, stage, source, best);
    assert_string_equal(said, why);
}

/* As after a --refresh that has failed at the step behind. */
static void why_a_run_that_is_kept_is_passed_over(void **state)
{
    Sample *sample = *state;
    g_autoptr(Plan) plan = build_chain(sample);
    expect_passed(sample, plan, "/another/disk", 0, "not kept on the source's present disk");
    sample_node(sample, plan, "one again", "boot", "ab");
    expect_passed(sample, plan, sample->source, 2, "'one' has run again since");
    expect_passed(sample, plan, sample->source, 3, "'one' has run again since");
    g_autofree char *folder = sample_folder(sample, "one");
    assert_true(nodes_remove(folder));
    expect_passed(sample, plan, sample->source, 2, "what it was kept on is not there any more");
    g_autoptr(GPtrArray) none = g_ptr_array_new();
    g_autofree char *nothing = passed_why(none, plan, 2, sample->source, NULL);
    assert_string_equal(nothing, "not kept");
}

static void a_run_that_is_refreshed_rules_out_no_other(void **state)
{
    Sample *sample = *state;
    g_autoptr(Plan) plan = build_chain(sample);
    sample_node(sample, plan, "three again", "two", "aaab");
    expect_best(sample, plan, 3, NOW, "two");
}

/* Its image is the source itself, which no machine has written to. */
static void a_plan_without_steps_goes_on_from_no_machine(void **state)
{
    Sample *sample = *state;
    g_autoptr(Plan) plan = sample_plan(sample, "[]");
    sample_node(sample, plan, "boot", NULL, "a");
    expect_best(sample, plan, -1, NOW, NULL);
}

static void a_booted_machine_is_of_no_use_to_an_offline_step(void **state)
{
    Sample *sample = *state;
    g_autoptr(Plan) plan = sample_plan(sample, "[{shell: one, offline: true}, {shell: two}]");
    sample_node(sample, plan, "boot", NULL, "a");
    expect_best(sample, plan, -1, NOW, NULL);
    sample_node(sample, plan, "one", NULL, "aa");
    expect_best(sample, plan, -1, NOW, "one");
}

static void a_missing_product_is_made_again(void **state)
{
    Sample *sample = *state;
    g_autoptr(Plan) plan =
        sample_plan(sample, "[{shell: one}, {file: {from: /log, to: out/log, direction: down}}, {shell: three}]");
    g_autofree char *product = sample_path(sample, "out/log");
    sample_node(sample, plan, "one", NULL, "aa");
    sample_node(sample, plan, "two", "one", "aaa");
    sample_node(sample, plan, "three", "two", "aaaa");
    expect_best(sample, plan, -1, NOW, "one");
    sample_write(sample, "out/log", "");
    expect_best(sample, plan, -1, NOW, "three");
    g_autoptr(Node) node = sample_read(sample, "three");
    assert_true(nodes_fresh(node, plan, NOW));
    assert_int_equal(g_remove(product), 0);
    assert_false(nodes_fresh(node, plan, NOW));
}

/* The folder is there, the file that came into it is another one or not. */
static void a_missing_part_of_a_product_is_made_again(void **state)
{
    Sample *sample = *state;
    g_autoptr(Plan) plan = sample_plan(sample, "[{file: {from: /etc, to: out, direction: down}}]");
    g_autofree char *folder = sample_path(sample, "out"), *product = sample_path(sample, "out/passwd");
    sample_write(sample, "out/passwd", "");
    sample_node(sample, plan, "node", NULL, "aa");
    g_autoptr(Node) node = sample_read(sample, "node");
    NodeRun *run = g_ptr_array_index(node->runs, 1);
    run->made = sample_made(folder);
    assert_true(node_publish(node, NULL));
    expect_best(sample, plan, -1, NOW, "node");
    sample_write(sample, "out/passwd", "other");
    expect_best(sample, plan, -1, NOW, NULL);
    sample_write(sample, "out/passwd", "");
    expect_best(sample, plan, -1, NOW, "node");
    assert_int_equal(g_remove(product), 0);
    expect_best(sample, plan, -1, NOW, NULL);
    g_autoptr(Node) back = sample_read(sample, "node");
    g_autofree char *why = nodes_why_stale(plan_stage(plan, 1), node_run(back), NOW);
    assert_non_null(strstr(why, "out/passwd, which it made, is not there"));
}

/* --- the list --- */

static guint count(const Sample *sample)
{
    g_autoptr(GPtrArray) nodes = nodes_list(sample->cache, NULL);
    assert_non_null(nodes);
    return nodes->len;
}

static void an_empty_cache_has_no_nodes(void **state)
{
    assert_int_equal(count(*state), 0);
}

/* Whoever looks at a cache that is not there leaves it so. */
static void a_look_makes_no_cache(void **state)
{
    Sample *sample = *state;
    g_autofree char *nowhere = sample_path(sample, "nowhere"), *within = sample_path(sample, "nowhere/cache");
    g_autoptr(GPtrArray) nodes = nodes_list(within, NULL);
    g_autofree char *salt = nodes_look_salt(within, NULL);
    HouseUse use;
    assert_int_equal(nodes->len, 0);
    assert_true(strlen(salt) >= 32);
    assert_true(nodes_sweep(within, NULL));
    assert_true(house_measure(within, &use, NULL) && use.nodes == 0 && use.limit > 0);
    assert_false(g_file_test(nowhere, G_FILE_TEST_EXISTS));
}

/* One that may not be looked into is not an empty one. */
static void a_cache_that_is_closed_is_an_error(void **state)
{
    Sample *sample = *state;
    g_autoptr(GError) error = NULL;
    g_autofree char *closed = sample_path(sample, "closed"), *nodes = sample_path(sample, "closed/nodes");
    assert_int_equal(g_mkdir(closed, 0700), 0);
    assert_int_equal(symlink("nodes", nodes), 0); /* leads to itself */
    assert_null(nodes_list(closed, &error));
    assert_non_null(strstr(error->message, "closed/nodes"));
    g_clear_error(&error);
    assert_null(nodes_list(sample->source, &error)); /* a file */
    assert_non_null(strstr(error->message, sample->source));
}

static void sweep(const Sample *sample)
{
    assert_true(nodes_sweep(sample->cache, NULL));
}

static void others_may_not_look_at_nodes(void **state)
{
    const Sample *sample = *state;
    g_autofree char *folder = nodes_folder(sample->cache, NULL);
    GStatBuf status;
    assert_int_equal(g_stat(folder, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
}

static void nodes_without_the_one_below_are_swept(void **state)
{
    Sample *sample = *state;
    g_autoptr(Plan) plan = build_chain(sample);
    g_autofree char *folder = sample_folder(sample, "one");
    assert_int_equal(count(sample), 4);
    assert_true(nodes_remove(folder));
    assert_int_equal(count(sample), 3);
    expect_best(sample, plan, -1, NOW, "boot");
    sweep(sample);
    assert_int_equal(count(sample), 1);
    assert_true(sample_has(sample, "boot"));
    assert_false(sample_has(sample, "two"));
    assert_false(sample_has(sample, "three"));
}

/* The file system that it lies on may only not be mounted. */
static void nodes_without_their_source_stay_but_are_not_used(void **state)
{
    Sample *sample = *state;
    g_autoptr(Plan) plan = build_chain(sample);
    g_autofree char *away = sample_path(sample, "away");
    assert_int_equal(g_rename(sample->source, away), 0);
    expect_best(sample, plan, -1, NOW, NULL);
    g_autoptr(GPtrArray) nodes = nodes_list(sample->cache, NULL);
    assert_int_equal(nodes->len, 4);
    assert_false(((const Node *)g_ptr_array_index(nodes, 0))->whole);
    assert_null(nodes_newest(nodes, plan_stage(plan, 3)));
    sweep(sample);
    assert_int_equal(g_rename(away, sample->source), 0);
    expect_best(sample, plan, -1, NOW, "three");
}

/* It was evicted, and never comes back as the file that they stand on. */
static void nodes_without_a_source_of_the_cache_are_swept(void **state)
{
    Sample *sample = *state;
    g_autoptr(Plan) plan = sample_plan(sample, STEPS);
    g_autofree char *source = sample_path(sample, "cache/sources/key/disk.raw");
    sample_write(sample, "cache/sources/key/disk.raw", "disk");
    sample_node_on(sample, plan, "boot", NULL, source, "a");
    sample_node_on(sample, plan, "one", "boot", source, "aa");
    sweep(sample);
    assert_int_equal(count(sample), 2);
    assert_int_equal(g_remove(source), 0);
    assert_int_equal(count(sample), 2);
    sweep(sample);
    assert_int_equal(count(sample), 0);
    assert_false(sample_has(sample, "boot") || sample_has(sample, "one"));
}

/* The folder for sources lies on a file system of its own, which is not mounted for a while: it is missing, or what a
 * build finds there meanwhile is an empty one, and then one with another source in it. */
static void nodes_stay_while_the_sources_are_unmounted(void **state)
{
    static const char *const disks[] = {"cache/sources/key/disk.raw", "cache/sources/image-1"};
    Sample *sample = *state;
    g_autoptr(Plan) plan = sample_plan(sample, STEPS);
    g_autofree char *sources = sample_path(sample, "cache/sources"), *away = sample_path(sample, "away");
    for (guint i = 0; i < G_N_ELEMENTS(disks); i++) {
        g_autofree char *disk = sample_path(sample, disks[i]);
        sample_write(sample, disks[i], "disk");
        sample_node_on(sample, plan, i == 0 ? "boot" : "one", NULL, disk, "a");
    }
    sample_write(sample, "cache/sources/image-1" INGOT_DOWNLOAD_USE, "");
    assert_int_equal(g_rename(sources, away), 0);
    sweep(sample);
    assert_int_equal(count(sample), 2);
    assert_int_equal(g_mkdir(sources, 0755), 0);
    sweep(sample);
    assert_int_equal(count(sample), 2);
    sample_write(sample, "cache/sources/other/disk.raw", "disk");
    sweep(sample);
    assert_int_equal(count(sample), 2);
    assert_true(ingot_file_remove_tree(sources, NULL));
    assert_int_equal(g_rename(away, sources), 0);
    g_autofree char *image = sample_path(sample, disks[1]);
    assert_int_equal(g_remove(image), 0); /* this one is gone for good: its lock is there */
    sweep(sample);
    assert_int_equal(count(sample), 1);
    assert_true(sample_has(sample, "boot"));
}

static void what_an_ended_build_left_is_swept(void **state)
{
    Sample *sample = *state;
    sample_write(sample, "cache/nodes/unfinished/" NODE_LOCK, "");
    sample_write(sample, "cache/nodes/unfinished/" NODE_DISK, "half");
    assert_int_equal(count(sample), 0);
    assert_true(sample_has(sample, "unfinished"));
    sweep(sample);
    assert_false(sample_has(sample, "unfinished"));
}

/* A removal that was cut off after the record and the lock were gone. */
static void what_an_ended_removal_left_is_swept(void **state)
{
    Sample *sample = *state;
    g_autoptr(Plan) plan = build_chain(sample);
    g_autofree char *record = sample_path(sample, "cache/nodes/three/" NODE_RECORD);
    g_autofree char *lock = sample_path(sample, "cache/nodes/three/" NODE_LOCK);
    g_autofree char *empty = sample_path(sample, "cache/nodes/empty");
    assert_int_equal(g_remove(record), 0);
    assert_int_equal(g_remove(lock), 0);
    assert_true(ingot_file_make_folder(empty, NULL));
    sweep(sample);
    assert_false(sample_has(sample, "three"));
    assert_false(sample_has(sample, "empty"));
    assert_int_equal(count(sample), 3);
}

static void what_cannot_be_read_is_swept(void **state)
{
    Sample *sample = *state;
    g_autoptr(Plan) plan = build_chain(sample);
    sample_write(sample, "cache/nodes/three/" NODE_RECORD, "{\"vers");
    assert_int_equal(count(sample), 3);
    assert_true(sample_has(sample, "three"));
    sweep(sample);
    assert_false(sample_has(sample, "three"));
    assert_int_equal(count(sample), 3);
}

/* A build keeps nothing there, and says why, rather than fail once its machine runs. */
static void nothing_is_kept_where_the_path_is_not_text(void **state)
{
    const Sample *sample = *state;
    g_autofree char *odd = sample_path(sample, "odd\xff");
    const char *const places[][2] = {{odd, sample->folder}, {sample->cache, odd}};
    for (guint i = 0; i < G_N_ELEMENTS(places); i++) {
        g_autoptr(GError) error = NULL;
        assert_null(draft_new(places[i][0], places[i][1], &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        assert_non_null(strstr(error->message, "not UTF-8"));
    }
}

static void what_a_build_is_making_stays(void **state)
{
    Sample *sample = *state;
    g_autoptr(NodeDraft) draft = draft_new(sample->cache, sample->folder, NULL);
    assert_non_null(draft);
    g_autofree char *name = g_strdup(draft_name(draft));
    g_autofree char *disk = draft_layer(draft, NODE_DISK);
    assert_true(g_file_set_contents(disk, "half", -1, NULL));
    assert_int_equal(count(sample), 0);
    sweep(sample);
    assert_true(sample_has(sample, name));
    assert_true(g_file_test(disk, G_FILE_TEST_EXISTS));
    draft_free(g_steal_pointer(&draft));
    assert_false(sample_has(sample, name));
}

static void a_draft_becomes_a_node(void **state)
{
    Sample *sample = *state;
    g_autoptr(Plan) plan = sample_plan(sample, STEPS);
    g_autoptr(NodeDraft) draft = draft_new(sample->cache, sample->folder, NULL);
    g_autoptr(Node) node = node_new();
    node->source = g_strdup(sample->source);
    g_ptr_array_unref(node->runs);
    node->runs = sample_runs(plan, "aa");
    g_autofree char *disk = draft_layer(draft, NODE_DISK), *further = draft_layer(draft, "disk-1.qcow2");
    assert_true(g_file_set_contents(disk, "layer", -1, NULL));
    assert_true(g_file_set_contents(further, "another", -1, NULL));
    assert_true(draft_publish(draft, node, NULL));
    assert_non_null(json_string_value(json_object_get(node->files, NODE_DISK)));
    assert_non_null(json_string_value(json_object_get(node->files, "disk-1.qcow2")));
    g_autofree char *name = g_strdup(draft_name(draft));
    draft_free(g_steal_pointer(&draft));
    expect_best(sample, plan, -1, NOW, name);
    assert_true(node_verify(node, NULL));
}

static void newer_versions_are_passed_over_but_kept(void **state)
{
    Sample *sample = *state;
    g_autoptr(Plan) plan = build_chain(sample);
    sample_node(sample, plan, "newer", NULL, "b");
    sample_node(sample, plan, "above", "newer", "bb");
    sample_write(sample, "cache/nodes/newer/" NODE_RECORD, "{\"version\": 1000}");
    assert_int_equal(count(sample), 5);
    sweep(sample);
    assert_true(sample_has(sample, "newer"));
    assert_true(sample_has(sample, "above")); /* the newer one is below it still */
    expect_best(sample, plan, -1, NOW, "three");
}

static void a_stray_file_is_passed_over(void **state)
{
    Sample *sample = *state;
    g_autoptr(Plan) plan = build_chain(sample);
    sample_write(sample, "cache/nodes/stray", "");
    assert_int_equal(count(sample), 4);
    sweep(sample);
    assert_true(sample_has(sample, "stray"));
}

/* --- use --- */

static NodeHold *hold(const Sample *sample, const char *name, GError **error)
{
    g_autoptr(Node) node = sample_read(sample, name);
    return nodes_hold(sample->cache, node, error);
}

static gboolean remove_node(const Sample *sample, const char *name)
{
    g_autofree char *folder = sample_folder(sample, name);
    return nodes_remove(folder);
}

static void a_held_node_stays_with_all_below_it(void **state)
{
    Sample *sample = *state;
    g_autoptr(Plan) plan = build_chain(sample);
    NodeHold *held = hold(sample, "two", NULL), *again = hold(sample, "two", NULL);
    assert_non_null(held);
    assert_non_null(again);
    nodes_release(again);
    assert_true(remove_node(sample, "three"));
    assert_false(remove_node(sample, "two"));
    assert_false(remove_node(sample, "one"));
    assert_false(remove_node(sample, "boot"));
    assert_int_equal(count(sample), 3);
    nodes_release(held);
    assert_true(remove_node(sample, "two"));
    assert_false(sample_has(sample, "two"));
}

static void what_is_held_counts_as_used_now(void **state)
{
    Sample *sample = *state;
    g_autoptr(Plan) plan = build_chain(sample);
    g_autoptr(Node) node = sample_read(sample, "boot");
    g_autofree char *lock = node_file(node, NODE_LOCK);
    GStatBuf status;
    assert_int_equal(g_utime(lock, &(struct utimbuf){1, 1}), 0);
    g_autoptr(NodeHold) held = hold(sample, "one", NULL);
    assert_non_null(held);
    assert_int_equal(g_stat(lock, &status), 0);
    assert_true(g_get_real_time() / G_USEC_PER_SEC - status.st_mtime < 600);
}

static void expect_not_held(const Sample *sample, const char *name, int code)
{
    g_autoptr(GError) error = NULL;
    assert_null(hold(sample, name, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, code));
}

static void damage_anywhere_below_is_found(void **state)
{
    Sample *sample = *state;
    g_autoptr(Plan) plan = build_chain(sample);
    sample_write(sample, "cache/nodes/one/" NODE_DISK, "damaged");
    expect_not_held(sample, "three", INGOT_ERROR_CORRUPT);
    assert_true(remove_node(sample, "three")); /* nothing is held by what failed */
    g_autoptr(NodeHold) held = hold(sample, "boot", NULL);
    assert_non_null(held);
}

static void what_has_gone_is_not_held(void **state)
{
    Sample *sample = *state;
    g_autoptr(Plan) plan = build_chain(sample);
    g_autoptr(Node) node = sample_read(sample, "one");
    assert_true(remove_node(sample, "boot"));
    expect_not_held(sample, "three", INGOT_ERROR_NOT_FOUND);
    assert_true(remove_node(sample, "one"));
    g_autoptr(GError) error = NULL;
    assert_null(nodes_hold(sample->cache, node, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
}

/* Nobody can hold it, and a build that finds it would find it again and again. */
static void a_node_without_its_lock_can_be_removed(void **state)
{
    Sample *sample = *state;
    g_autoptr(Plan) plan = build_chain(sample);
    g_autofree char *lock = sample_path(sample, "cache/nodes/three/" NODE_LOCK);
    assert_int_equal(g_remove(lock), 0);
    expect_not_held(sample, "three", INGOT_ERROR_NOT_FOUND);
    assert_true(remove_node(sample, "three"));
    expect_best(sample, plan, -1, NOW, "two");
}

/* --- turns and salt --- */

static void a_turn_is_taken_by_one(void **state)
{
    Sample *sample = *state;
    g_autoptr(Plan) plan = sample_plan(sample, STEPS);
    const IngotDigest *key = &plan_stage(plan, 1)->key, *other = &plan_stage(plan, 2)->key;
    g_autoptr(GError) error = NULL;
    IngotLock *turn = nodes_turn(sample->cache, key, &error);
    assert_non_null(turn);
    assert_null(nodes_turn(sample->cache, key, &error));
    assert_null(error);
    g_autoptr(IngotLock) free_one = nodes_turn(sample->cache, other, &error);
    assert_non_null(free_one);
    ingot_lock_release(turn);
    g_autoptr(IngotLock) again = nodes_turn(sample->cache, key, &error);
    assert_non_null(again);
}

static void a_turn_that_cannot_be_taken_is_an_error(void **state)
{
    Sample *sample = *state;
    g_autoptr(Plan) plan = sample_plan(sample, STEPS);
    sample_write(sample, "cache/turns", "no folder");
    g_autoptr(GError) error = NULL;
    assert_null(nodes_turn(sample->cache, &plan->image, &error));
    assert_non_null(error);
}

static void the_salt_stays_and_is_secret(void **state)
{
    const Sample *sample = *state;
    g_autofree char *other_cache = sample_path(sample, "other"), *path = sample_path(sample, "cache/salt");
    g_autofree char *salt = nodes_salt(sample->cache, NULL), *again = nodes_salt(sample->cache, NULL);
    g_autofree char *other = nodes_salt(other_cache, NULL);
    GStatBuf status;
    assert_true(strlen(salt) >= 32);
    assert_string_equal(salt, again);
    assert_string_not_equal(salt, other);
    assert_int_equal(g_stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

/* As on a file system that is mounted read-only, where no lock can be taken. */
static void the_salt_of_a_cache_that_is_only_read(void **state)
{
    Sample *sample = *state;
    sample_write(sample, "cache/salt", "salted");
    sample_write(sample, "cache/salt.lock/file", "so that it cannot be opened");
    g_autofree char *salt = nodes_salt(sample->cache, NULL);
    assert_string_equal(salt, "salted");
}

static void a_salt_that_cannot_be_kept_holds_once(void **state)
{
    Sample *sample = *state;
    sample_write(sample, "file", "");
    g_autofree char *nowhere = sample_path(sample, "file/cache"), *locked = sample_path(sample, "locked");
    sample_write(sample, "locked/salt.lock/file", "so that it cannot be opened");
    const char *const caches[] = {nowhere, locked};
    for (guint i = 0; i < G_N_ELEMENTS(caches); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *one = nodes_salt(caches[i], &error), *other = nodes_salt(caches[i], &error);
        assert_null(error);
        assert_true(one != NULL && strlen(one) >= 32);
        assert_string_not_equal(one, other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SAMPLE_TEST(the_deepest_is_the_best),
        SAMPLE_TEST(no_node_is_none),
        SAMPLE_TEST(a_changed_step_leaves_what_was_before),
        SAMPLE_TEST(refresh_goes_back_behind_its_stage),
        SAMPLE_TEST(a_stage_too_old_rules_out_all_that_follow),
        SAMPLE_TEST(a_run_in_the_future_is_not_trusted),
        SAMPLE_TEST(why_a_stage_is_stale),
        SAMPLE_TEST(another_source_is_no_ground),
        SAMPLE_TEST(the_newest_run_wins_over_the_deepest),
        SAMPLE_TEST(why_a_run_that_is_kept_is_passed_over),
        SAMPLE_TEST(a_run_that_is_refreshed_rules_out_no_other),
        SAMPLE_TEST(a_booted_machine_is_of_no_use_to_an_offline_step),
        SAMPLE_TEST(a_plan_without_steps_goes_on_from_no_machine),
        SAMPLE_TEST(a_missing_product_is_made_again),
        SAMPLE_TEST(a_missing_part_of_a_product_is_made_again),
        SAMPLE_TEST(an_empty_cache_has_no_nodes),
        SAMPLE_TEST(a_look_makes_no_cache),
        SAMPLE_TEST(a_cache_that_is_closed_is_an_error),
        SAMPLE_TEST(others_may_not_look_at_nodes),
        SAMPLE_TEST(nodes_without_the_one_below_are_swept),
        SAMPLE_TEST(nodes_without_their_source_stay_but_are_not_used),
        SAMPLE_TEST(nodes_without_a_source_of_the_cache_are_swept),
        SAMPLE_TEST(what_cannot_be_read_is_swept),
        SAMPLE_TEST(nothing_is_kept_where_the_path_is_not_text),
        SAMPLE_TEST(nodes_stay_while_the_sources_are_unmounted),
        SAMPLE_TEST(what_an_ended_build_left_is_swept),
        SAMPLE_TEST(what_an_ended_removal_left_is_swept),
        SAMPLE_TEST(what_a_build_is_making_stays),
        SAMPLE_TEST(a_draft_becomes_a_node),
        SAMPLE_TEST(newer_versions_are_passed_over_but_kept),
        SAMPLE_TEST(a_stray_file_is_passed_over),
        SAMPLE_TEST(a_held_node_stays_with_all_below_it),
        SAMPLE_TEST(what_is_held_counts_as_used_now),
        SAMPLE_TEST(damage_anywhere_below_is_found),
        SAMPLE_TEST(what_has_gone_is_not_held),
        SAMPLE_TEST(a_node_without_its_lock_can_be_removed),
        SAMPLE_TEST(a_turn_is_taken_by_one),
        SAMPLE_TEST(a_turn_that_cannot_be_taken_is_an_error),
        SAMPLE_TEST(the_salt_stays_and_is_secret),
        SAMPLE_TEST(the_salt_of_a_cache_that_is_only_read),
        SAMPLE_TEST(a_salt_that_cannot_be_kept_holds_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
