/* What goes first where the cache is too large, and what never goes. */
#include "used.h"

#include "cache/evict.h"

#define ALL 0 /* bytes that may stay: nothing */

/* Returns how many went; last (may be NULL): what the last one is. */
static guint evict_by(const Sample *sample, const EvictRule *rule, char **last)
{
    guint64 before = total(sample);
    g_autoptr(GPtrArray) list = evict(sample->cache, rule, NULL);
    assert_non_null(list);
    assert_int_equal(evict_bytes(list), rule->dry ? evict_bytes(list) : before - total(sample));
    if (last != NULL) {
        *last = list->len == 0 ? NULL : g_strdup(((const Evicted *)g_ptr_array_index(list, list->len - 1))->what);
    }
    return list->len;
}

static guint drop(const Sample *sample, guint64 most, gint64 before)
{
    return evict_by(sample, &(EvictRule){.most = most, .before = before}, NULL);
}

/* A byte too much: one goes. */
static void expect_to_go(const Sample *sample, const char *name)
{
    assert_true(sample_has(sample, name));
    assert_int_equal(drop(sample, total(sample) - 1, 0), 1);
    assert_false(sample_has(sample, name));
}

/* --- nodes --- */

static void the_longest_unused_goes_first(void **state)
{
    Sample *sample = *state;
    add_node(sample, "second", NULL, sample->source, 200);
    add_node(sample, "third", NULL, sample->source, 300);
    add_node(sample, "first", NULL, sample->source, 100);
    assert_int_equal(drop(sample, total(sample), 0), 0);
    expect_to_go(sample, "first");
    expect_to_go(sample, "second");
    expect_to_go(sample, "third");
    assert_int_equal(drop(sample, ALL, 0), 0);
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
    assert_int_equal(drop(sample, one, 0), 2);
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
    assert_int_equal(drop(sample, ALL, G_MAXINT64), 2);
    assert_true(sample_has(sample, "held"));
    assert_true(sample_has(sample, "base"));
    nodes_release(hold);
    assert_int_equal(drop(sample, ALL, 0), 2);
}

static void what_was_used_since_stays_whatever_the_size(void **state)
{
    Sample *sample = *state;
    add_node(sample, "old", NULL, sample->source, 199);
    add_node(sample, "new", NULL, sample->source, 200);
    add_node(sample, "base", NULL, sample->source, 100);
    add_node(sample, "top", "base", sample->source, 300);
    assert_int_equal(drop(sample, ALL, 200), 1);
    assert_false(sample_has(sample, "old"));
    assert_true(sample_has(sample, "base"));
}

/* Both must hold: it is too much, and it was not used since. */
static void a_size_and_an_age_together_limit_what_goes(void **state)
{
    Sample *sample = *state;
    add_node(sample, "first", NULL, sample->source, 100);
    guint64 one = total(sample);
    add_node(sample, "second", NULL, sample->source, 200);
    add_node(sample, "third", NULL, sample->source, 300);
    assert_int_equal(drop(sample, 2 * one, 250), 1);
    assert_false(sample_has(sample, "first"));
    assert_true(sample_has(sample, "second"));
    assert_int_equal(drop(sample, one, 150), 0);
    assert_int_equal(drop(sample, ALL, 250), 1);
    assert_true(sample_has(sample, "third"));
}

static void a_pinned_node_never_goes_nor_what_is_below(void **state)
{
    Sample *sample = *state;
    add_node(sample, "base", NULL, sample->source, 100);
    add_node(sample, "pinned", "base", sample->source, 100);
    add_node(sample, "top", "pinned", sample->source, 100);
    g_autoptr(Node) node = sample_read(sample, "pinned");
    assert_false(node_pinned(node));
    assert_true(nodes_pin(node, TRUE, NULL));
    assert_true(node_pinned(node));
    assert_int_equal(drop(sample, ALL, 0), 1);
    assert_true(sample_has(sample, "base") && sample_has(sample, "pinned"));
    assert_true(nodes_pin(node, FALSE, NULL));
    assert_true(nodes_pin(node, FALSE, NULL));
    assert_int_equal(drop(sample, ALL, 0), 2);
}

static void what_goes_is_named(void **state)
{
    Sample *sample = *state;
    add_node(sample, "node", NULL, sample->source, 100);
    g_autoptr(GPtrArray) list = evict(sample->cache, &(EvictRule){.most = ALL}, NULL);
    const Evicted *one = g_ptr_array_index(list, 0);
    assert_int_equal(list->len, 1);
    assert_string_equal(one->what, "the machine after 'boot' of web");
    assert_true(g_str_has_suffix(one->path, "/nodes/node"));
    assert_true(one->bytes >= 64 << 10);
    assert_int_equal(one->used, 100);
    assert_string_equal(evict_why(one->why), "least recently used");
}

static void a_dry_run_removes_nothing(void **state)
{
    Sample *sample = *state;
    g_autofree char *path = add_source(sample, "disk", 100);
    add_node(sample, "base", NULL, path, 100);
    add_node(sample, "top", "base", path, 200);
    sample_write(sample, "cache/sources/other.making", "half");
    add_node(sample, "held", NULL, sample->source, 100);
    g_autoptr(Node) node = sample_read(sample, "held");
    g_autoptr(NodeHold) hold = nodes_hold(sample->cache, node, NULL);
    guint64 before = total(sample);
    assert_int_equal(evict_by(sample, &(EvictRule){.most = ALL, .dry = TRUE}, NULL), 3);
    assert_int_equal(total(sample), before);
    g_autofree char *making = sample_path(sample, "cache/sources/other.making");
    assert_int_equal(g_remove(making), 0); /* else it would be swept */
    assert_int_equal(drop(sample, ALL, 0), 3);
}

/* --- sources --- */

static void a_source_goes_with_its_lock_files(void **state)
{
    const Sample *sample = *state;
    g_autofree char *path = add_source(sample, "disk", 100);
    g_autofree char *folder = g_path_get_dirname(path);
    assert_int_equal(drop(sample, ALL, 0), 1);
    assert_int_equal(g_rmdir(folder), 0);
}

static void a_source_that_nobody_used_goes_too(void **state)
{
    const Sample *sample = *state;
    g_autofree char *folder = sample_path(sample, "cache/sources");
    sample_write(sample, "cache/sources/disk", "disk");
    assert_int_equal(drop(sample, ALL, 0), 1);
    assert_int_equal(g_rmdir(folder), 0);
}

static void a_source_goes_after_what_stands_on_it(void **state)
{
    Sample *sample = *state;
    g_autofree char *path = add_source(sample, "disk", 100);
    add_node(sample, "node", NULL, path, 200);
    expect_to_go(sample, "node");
    assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
    assert_int_equal(drop(sample, ALL, 0), 1);
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
    assert_int_equal(drop(sample, ALL, 0), 1);
    assert_false(g_file_test(other, G_FILE_TEST_EXISTS));
    assert_true(g_file_test(inside, G_FILE_TEST_EXISTS));
}

/* Both who uses a source and who makes it lock a file beside it. */
static void expect_to_stay_while_locked(const Sample *sample, const char *suffix)
{
    g_autofree char *path = add_source(sample, "disk", 100);
    g_autofree char *lock_path = g_strconcat(path, suffix, NULL);
    IngotLock *lock = ingot_lock_take(lock_path, FALSE, FALSE, NULL);
    assert_int_equal(drop(sample, ALL, 0), 0);
    assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
    ingot_lock_release(lock);
    assert_int_equal(drop(sample, ALL, 0), 1);
}

static void a_source_in_use_never_goes(void **state)
{
    expect_to_stay_while_locked(*state, INGOT_DOWNLOAD_USE);
    expect_to_stay_while_locked(*state, ".lock");
}

/* --- disks --- */

/* A base that was bootstrapped anew: source.json names the newer disk. */
static char *add_base(Sample *sample, const char *name, gint64 when)
{
    g_autofree char *path = g_build_filename("cache", "sources", "key", name, NULL);
    g_autofree char *record = g_strdup_printf("{\"version\": 1, \"disk\": \"%s\"}", name);
    g_autofree char *bytes = g_strnfill(64 << 10, 's'), *sum = g_strconcat(path, ".sum", NULL);
    sample_write(sample, path, bytes);
    sample_write(sample, sum, "sum");
    sample_write(sample, "cache/sources/key/source.json", record);
    sample_write(sample, "cache/sources/key" INGOT_DOWNLOAD_USE, "");
    g_autofree char *use = sample_path(sample, "cache/sources/key" INGOT_DOWNLOAD_USE);
    used(use, when);
    char *absolute = sample_path(sample, path);
    used(absolute, when);
    return absolute;
}

/* However old the nodes are, and though it was used before them. */
static void a_replaced_disk_goes_first(void **state)
{
    Sample *sample = *state;
    g_autofree char *old = add_base(sample, "disk-1.raw", 1000), *new = add_base(sample, "disk-2.raw", 2000);
    g_autofree char *sum = g_strconcat(old, ".sum", NULL), *what = NULL;
    add_node(sample, "node", NULL, new, 100);
    assert_int_equal(evict_by(sample, &(EvictRule){.most = total(sample) - 1}, &what), 1);
    assert_string_equal(what, "the base disk sources/key/disk-1.raw");
    assert_false(g_file_test(old, G_FILE_TEST_EXISTS) || g_file_test(sum, G_FILE_TEST_EXISTS));
    assert_true(g_file_test(new, G_FILE_TEST_EXISTS) && sample_has(sample, "node"));
    expect_to_go(sample, "node");
    assert_int_equal(drop(sample, ALL, 0), 1);
    assert_false(g_file_test(new, G_FILE_TEST_EXISTS));
}

/* No plan goes on from them: so they leave before what was used less. */
static void nodes_on_a_replaced_disk_go_before_others(void **state)
{
    Sample *sample = *state;
    g_autofree char *old = add_base(sample, "disk-1.raw", 100);
    add_node(sample, "old-base", NULL, old, 900);
    add_node(sample, "old-top", "old-base", old, 900);
    g_autofree char *new = add_base(sample, "disk-2.raw", 200);
    add_node(sample, "current", NULL, new, 100);
    add_node(sample, "elsewhere", NULL, sample->source, 100);
    expect_to_go(sample, "old-top");
    assert_true(g_file_test(old, G_FILE_TEST_EXISTS));
    expect_to_go(sample, "old-base");
    assert_int_equal(drop(sample, total(sample) - 1, 0), 1);
    assert_false(g_file_test(old, G_FILE_TEST_EXISTS));
    assert_true(sample_has(sample, "current") && sample_has(sample, "elsewhere"));
}

/* A month of daily bases and one recipe: all of them together do not push it out. */
static void many_replaced_disks_flush_nothing_else(void **state)
{
    Sample *sample = *state;
    for (guint day = 0; day < 30; day++) {
        g_autofree char *name = g_strdup_printf("disk-%02u.raw", day);
        g_autofree char *path = add_base(sample, name, 1000 + day);
        if (day == 29) {
            add_node(sample, "boot", NULL, path, 100);
            add_node(sample, "top", "boot", path, 100);
        }
    }
    guint64 all = total(sample);
    guint dropped = drop(sample, all / 4, 0);
    assert_true(dropped > 20 && dropped < 29);
    assert_true(sample_has(sample, "boot") && sample_has(sample, "top"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SAMPLE_TEST(the_longest_unused_goes_first),
        SAMPLE_TEST(what_another_stands_on_goes_after_it),
        SAMPLE_TEST(no_more_goes_than_must),
        SAMPLE_TEST(what_is_held_never_goes),
        SAMPLE_TEST(what_was_used_since_stays_whatever_the_size),
        SAMPLE_TEST(a_size_and_an_age_together_limit_what_goes),
        SAMPLE_TEST(a_pinned_node_never_goes_nor_what_is_below),
        SAMPLE_TEST(what_goes_is_named),
        SAMPLE_TEST(a_dry_run_removes_nothing),
        SAMPLE_TEST(a_source_goes_with_its_lock_files),
        SAMPLE_TEST(a_source_that_nobody_used_goes_too),
        SAMPLE_TEST(a_source_goes_after_what_stands_on_it),
        SAMPLE_TEST(a_source_is_told_from_others),
        SAMPLE_TEST(a_source_in_use_never_goes),
        SAMPLE_TEST(a_replaced_disk_goes_first),
        SAMPLE_TEST(nodes_on_a_replaced_disk_go_before_others),
        SAMPLE_TEST(many_replaced_disks_flush_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
