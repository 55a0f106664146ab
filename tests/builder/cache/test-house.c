/* What goes first where the cache is too large, and what never goes. */
#include "sample.h"

#include <ingot/download.h>
#include <unistd.h>
#include <utime.h>

#include "cache/house.h"

#define ALL 0 /* bytes that may stay: nothing */

static void used(const char *path, gint64 when)
{
    assert_int_equal(g_utime(path, &(struct utimbuf){when, when}), 0);
}

/* A node without steps, used last at that time. */
static void add_node(Sample *sample, const char *name, const char *below, const char *source, gint64 when)
{
    g_autoptr(Plan) plan = sample_plan(sample, "[]");
    sample_node_on(sample, plan, name, below, source, "a");
    g_autofree char *folder = sample_folder(sample, name);
    g_autofree char *lock = g_build_filename(folder, NODE_LOCK, NULL);
    used(lock, when);
    assert_int_equal(house_node(folder).used, when);
}

/* What the cache has of a source, used last at that time. Free the path. */
static char *add_source(const Sample *sample, const char *name, gint64 when)
{
    g_autofree char *path = g_build_filename("cache", "sources", name, NULL);
    g_autofree char *use = g_strconcat(path, INGOT_DOWNLOAD_USE, NULL), *use_path = sample_path(sample, use);
    g_autofree char *bytes = g_strnfill(64 << 10, 's');
    sample_write(sample, path, bytes);
    sample_write(sample, use, "");
    used(use_path, when);
    char *absolute = sample_path(sample, path);
    used(absolute, when);
    return absolute;
}

static HouseUse measure(const Sample *sample)
{
    HouseUse use;
    assert_true(house_measure(sample->cache, &use, NULL));
    return use;
}

static guint64 total(const Sample *sample)
{
    HouseUse use = measure(sample);
    return use.layers + use.memory + use.sources;
}

/* Returns how many went. */
static guint evict(const Sample *sample, guint64 most, gint64 not_since)
{
    const HouseRule rule = {.most = most, .not_since = not_since};
    HouseDropped dropped;
    guint64 before = total(sample);
    assert_true(house_evict(sample->cache, &rule, &dropped, NULL));
    assert_int_equal(dropped.bytes, before - total(sample));
    return dropped.count;
}

/* A byte too much: one goes. */
static void expect_to_go(const Sample *sample, const char *name)
{
    assert_true(sample_has(sample, name));
    assert_int_equal(evict(sample, total(sample) - 1, 0), 1);
    assert_false(sample_has(sample, name));
}

/* --- nodes --- */

static void the_longest_unused_goes_first(void **state)
{
    Sample *sample = *state;
    add_node(sample, "second", NULL, sample->source, 200);
    add_node(sample, "third", NULL, sample->source, 300);
    add_node(sample, "first", NULL, sample->source, 100);
    assert_int_equal(evict(sample, total(sample), 0), 0);
    expect_to_go(sample, "first");
    expect_to_go(sample, "second");
    expect_to_go(sample, "third");
    assert_int_equal(evict(sample, ALL, 0), 0);
}

static void what_another_stands_on_goes_after_it(void **state)
{
    Sample *sample = *state;
    add_node(sample, "base", NULL, sample->source, 100);
    add_node(sample, "middle", "base", sample->source, 200);
    add_node(sample, "top", "middle", sample->source, 400);
    add_node(sample, "alone", NULL, sample->source, 300);
    expect_to_go(sample, "alone");
    expect_to_go(sample, "top");
    expect_to_go(sample, "middle");
    expect_to_go(sample, "base");
}

static void no_more_goes_than_must(void **state)
{
    Sample *sample = *state;
    add_node(sample, "first", NULL, sample->source, 100);
    add_node(sample, "second", NULL, sample->source, 200);
    guint64 one = total(sample) / 2;
    add_node(sample, "third", NULL, sample->source, 300);
    assert_int_equal(evict(sample, one, 0), 2);
    assert_true(sample_has(sample, "third"));
}

static void what_is_held_never_goes(void **state)
{
    Sample *sample = *state;
    add_node(sample, "base", NULL, sample->source, 100);
    add_node(sample, "held", "base", sample->source, 100);
    add_node(sample, "top", "held", sample->source, 100);
    add_node(sample, "other", NULL, sample->source, 300);
    g_autoptr(Node) node = sample_read(sample, "held");
    NodeHold *hold = nodes_hold(sample->cache, node, NULL);
    assert_int_equal(evict(sample, ALL, G_MAXINT64), 2);
    assert_true(sample_has(sample, "held"));
    assert_true(sample_has(sample, "base"));
    nodes_release(hold);
    assert_int_equal(evict(sample, ALL, 0), 2);
}

static void what_was_not_used_since_goes_whatever_the_size(void **state)
{
    Sample *sample = *state;
    add_node(sample, "old", NULL, sample->source, 199);
    add_node(sample, "new", NULL, sample->source, 200);
    add_node(sample, "base", NULL, sample->source, 100);
    add_node(sample, "top", "base", sample->source, 300);
    assert_int_equal(evict(sample, G_MAXUINT64, 200), 1);
    assert_false(sample_has(sample, "old"));
    assert_true(sample_has(sample, "base"));
}

/* --- sources --- */

static void a_source_goes_with_its_lock_files(void **state)
{
    const Sample *sample = *state;
    g_autofree char *path = add_source(sample, "disk", 100);
    g_autofree char *folder = g_path_get_dirname(path);
    assert_int_equal(evict(sample, ALL, 0), 1);
    assert_int_equal(g_rmdir(folder), 0);
}

static void a_source_that_nobody_used_goes_too(void **state)
{
    const Sample *sample = *state;
    g_autofree char *folder = sample_path(sample, "cache/sources");
    sample_write(sample, "cache/sources/disk", "disk");
    assert_int_equal(evict(sample, ALL, 0), 1);
    assert_int_equal(g_rmdir(folder), 0);
}

/* One in the making, say. */
static void what_lies_beside_sources_stays(void **state)
{
    const Sample *sample = *state;
    g_autofree char *path = sample_path(sample, "cache/sources/disk.part");
    sample_write(sample, "cache/sources/disk.part", "half");
    assert_int_equal(evict(sample, ALL, 0), 0);
    assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
}

static void a_source_goes_after_what_stands_on_it(void **state)
{
    Sample *sample = *state;
    g_autofree char *path = add_source(sample, "disk", 100);
    add_node(sample, "node", NULL, path, 200);
    expect_to_go(sample, "node");
    assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
    assert_int_equal(evict(sample, ALL, 0), 1);
    assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
}

/* A source may be a folder with the disk in it; one whose name begins alike is another. */
static void a_source_is_told_from_others(void **state)
{
    Sample *sample = *state;
    g_autofree char *other = add_source(sample, "disk", 100), *folder = sample_path(sample, "cache/sources/disk-2");
    g_autofree char *inside = g_build_filename(folder, "disk.raw", NULL);
    sample_write(sample, "cache/sources/disk-2/disk.raw", "disk");
    sample_write(sample, "cache/sources/disk-2" INGOT_DOWNLOAD_USE, "");
    add_node(sample, "node", NULL, inside, 200);
    g_autoptr(Node) node = sample_read(sample, "node");
    g_autoptr(NodeHold) hold = nodes_hold(sample->cache, node, NULL);
    assert_non_null(hold);
    assert_int_equal(evict(sample, ALL, 0), 1);
    assert_false(g_file_test(other, G_FILE_TEST_EXISTS));
    assert_true(g_file_test(inside, G_FILE_TEST_EXISTS));
}

/* Both who uses a source and who makes it lock a file beside it. */
static void expect_to_stay_while_locked(const Sample *sample, const char *suffix)
{
    g_autofree char *path = add_source(sample, "disk", 100);
    g_autofree char *lock_path = g_strconcat(path, suffix, NULL);
    IngotLock *lock = ingot_lock_take(lock_path, FALSE, FALSE, NULL);
    assert_int_equal(evict(sample, ALL, 0), 0);
    assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
    ingot_lock_release(lock);
    assert_int_equal(evict(sample, ALL, 0), 1);
}

static void a_source_in_use_never_goes(void **state)
{
    expect_to_stay_while_locked(*state, INGOT_DOWNLOAD_USE);
    expect_to_stay_while_locked(*state, ".lock");
}

/* --- sizes --- */

static void each_kind_is_measured(void **state)
{
    Sample *sample = *state;
    HouseUse empty = measure(sample);
    assert_int_equal(empty.nodes + empty.layers + empty.memory + empty.sources, 0);
    g_autofree char *source = add_source(sample, "disk", 100);
    add_node(sample, "node", NULL, source, 100);
    g_autofree char *bytes = g_strnfill(128 << 10, 'm');
    sample_write(sample, "cache/nodes/node/" NODE_MEMORY, bytes);
    HouseUse use = measure(sample);
    g_autofree char *folder = sample_folder(sample, "node");
    HouseNode node = house_node(folder);
    assert_int_equal(use.nodes, 1);
    assert_true(use.memory >= 128 << 10 && use.memory < 192 << 10);
    assert_true(use.layers >= 64 << 10 && use.layers < 128 << 10);
    assert_true(use.sources >= 64 << 10 && use.sources < 128 << 10);
    assert_int_equal(node.memory, use.memory);
    assert_int_equal(node.layer, use.layers);
    sample_write(sample, "cache/images/record.json", bytes);
    assert_true(measure(sample).records >= use.records + (128 << 10));
}

static void a_file_of_several_names_counts_once(void **state)
{
    Sample *sample = *state;
    g_autofree char *path = add_source(sample, "disk", 100);
    g_autofree char *beside = sample_path(sample, "cache/sources/again");
    guint64 before = total(sample);
    assert_int_equal(link(path, beside), 0);
    assert_int_equal(total(sample), before);
    g_autofree char *copy = add_source(sample, "copy", 100);
    assert_true(total(sample) >= before + (64 << 10));
}

static void the_environment_sets_the_limit(void **state)
{
    const Sample *sample = *state;
    g_setenv("INGOT_CACHE_SIZE", "3G", TRUE);
    HouseUse use = measure(sample);
    g_unsetenv("INGOT_CACHE_SIZE");
    assert_int_equal(use.limit, 3ull << 30);
    use = measure(sample);
    assert_true(use.limit > 0 && use.limit <= 20ull * 1000 * 1000 * 1000);
}

static void a_limit_that_is_no_size_is_invalid(void **state)
{
    const Sample *sample = *state;
    g_autoptr(GError) error = NULL, other = NULL;
    HouseUse use;
    HouseDropped dropped;
    g_setenv("INGOT_CACHE_SIZE", "plenty", TRUE);
    gboolean measured = house_measure(sample->cache, &use, &error);
    gboolean evicted = house_evict(sample->cache, &(HouseRule){.most = ALL}, &dropped, &other);
    g_unsetenv("INGOT_CACHE_SIZE");
    assert_false(measured);
    assert_false(evicted);
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    assert_true(g_error_matches(other, INGOT_ERROR, INGOT_ERROR_INVALID));
    assert_non_null(strstr(error->message, "INGOT_CACHE_SIZE"));
    assert_non_null(strstr(error->message, "plenty"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SAMPLE_TEST(the_longest_unused_goes_first),
        SAMPLE_TEST(what_another_stands_on_goes_after_it),
        SAMPLE_TEST(no_more_goes_than_must),
        SAMPLE_TEST(what_is_held_never_goes),
        SAMPLE_TEST(what_was_not_used_since_goes_whatever_the_size),
        SAMPLE_TEST(a_source_goes_with_its_lock_files),
        SAMPLE_TEST(a_source_that_nobody_used_goes_too),
        SAMPLE_TEST(what_lies_beside_sources_stays),
        SAMPLE_TEST(a_source_goes_after_what_stands_on_it),
        SAMPLE_TEST(a_source_is_told_from_others),
        SAMPLE_TEST(a_source_in_use_never_goes),
        SAMPLE_TEST(each_kind_is_measured),
        SAMPLE_TEST(a_file_of_several_names_counts_once),
        SAMPLE_TEST(the_environment_sets_the_limit),
        SAMPLE_TEST(a_limit_that_is_no_size_is_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
