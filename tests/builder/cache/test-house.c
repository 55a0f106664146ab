/* What the cache takes, and its limit. */
#include "used.h"

#include <unistd.h>

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

static void a_limit_that_is_not_a_size_is_invalid(void **state)
{
    const Sample *sample = *state;
    g_autoptr(GError) error = NULL;
    HouseUse use;
    g_setenv("INGOT_CACHE_SIZE", "plenty", TRUE);
    gboolean measured = house_measure(sample->cache, &use, &error);
    g_unsetenv("INGOT_CACHE_SIZE");
    assert_false(measured);
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    assert_non_null(strstr(error->message, "INGOT_CACHE_SIZE"));
    assert_non_null(strstr(error->message, "plenty"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SAMPLE_TEST(each_kind_is_measured),
        SAMPLE_TEST(a_file_of_several_names_counts_once),
        SAMPLE_TEST(the_environment_sets_the_limit),
        SAMPLE_TEST(a_limit_that_is_not_a_size_is_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
