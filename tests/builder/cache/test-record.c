/* Records lead to images that are still there and may still stand, and to nothing else. */
#include "sample.h"

#include "cache/record.h"

#define STEPS "[{shell: one}, {shell: two, max_age: 1h}]"

static IngotStore *open_store(const Sample *sample)
{
    g_autofree char *path = sample_path(sample, "store");
    IngotStore *store = ingot_store_open(path, NULL);
    assert_non_null(store);
    return store;
}

/* The plan was built, and its image is in the store. */
static IngotDescriptor build(const Sample *sample, IngotStore *store, const Plan *plan)
{
    g_autoptr(GPtrArray) runs = sample_runs(plan, "aaa");
    IngotDescriptor manifest;
    assert_true(ingot_store_put(store, "{}", 2, &manifest, NULL));
    assert_true(record_save(sample->cache, plan, runs, &manifest, NULL));
    return manifest;
}

static gboolean found(const Sample *sample, IngotStore *store, const Plan *plan)
{
    IngotDescriptor manifest;
    return record_find(sample->cache, store, plan, SAMPLE_BEGAN, &manifest);
}

static char *record_path(const Sample *sample, const Plan *plan)
{
    g_autofree char *digest = ingot_digest_to_text(&plan->image);
    return g_strdup_printf("%s/images/%s.json", sample->cache, digest + strlen("sha256:"));
}

static void a_record_leads_to_its_image(void **state)
{
    Sample *sample = *state;
    g_autoptr(IngotStore) store = open_store(sample);
    g_autoptr(Plan) plan = sample_plan(sample, STEPS);
    IngotDescriptor expected, manifest;
    assert_false(found(sample, store, plan));
    expected = build(sample, store, plan);
    assert_true(record_find(sample->cache, store, plan, SAMPLE_BEGAN, &manifest));
    assert_memory_equal(&manifest.digest, &expected.digest, sizeof manifest.digest);
    assert_int_equal(manifest.size, 2);
}

static void another_plan_has_none(void **state)
{
    Sample *sample = *state;
    g_autoptr(IngotStore) store = open_store(sample);
    g_autoptr(Plan) plan = sample_plan(sample, STEPS);
    g_autoptr(Plan) other = sample_plan(sample, "[{shell: one}, {shell: 'two ', max_age: 1h}]");
    build(sample, store, plan);
    assert_false(found(sample, store, other));
}

static void an_image_that_is_not_there_is_not_found(void **state)
{
    Sample *sample = *state;
    g_autoptr(IngotStore) store = open_store(sample);
    g_autoptr(Plan) plan = sample_plan(sample, STEPS);
    build(sample, store, plan);
    assert_true(found(sample, store, plan));
    assert_true(ingot_file_remove_tree(ingot_store_path(store), NULL));
    g_autoptr(IngotStore) empty = open_store(sample);
    assert_false(found(sample, empty, plan));
}

static void one_stage_too_old_is_enough(void **state)
{
    Sample *sample = *state;
    g_autoptr(IngotStore) store = open_store(sample);
    g_autoptr(Plan) plan = sample_plan(sample, STEPS);
    IngotDescriptor manifest;
    build(sample, store, plan);
    assert_true(record_find(sample->cache, store, plan, SAMPLE_BEGAN + 3600, &manifest));
    assert_false(record_find(sample->cache, store, plan, SAMPLE_BEGAN + 3601, &manifest));
}

static void an_older_version_is_none(void **state)
{
    Sample *sample = *state;
    g_autoptr(IngotStore) store = open_store(sample);
    g_autoptr(Plan) plan = sample_plan(sample, STEPS);
    build(sample, store, plan);
    g_autofree char *path = record_path(sample, plan);
    g_autoptr(json_t) record = json_load_file(path, 0, NULL);
    json_object_set_new(record, "version", json_integer(json_integer_value(json_object_get(record, "version")) - 1));
    assert_int_equal(json_dump_file(record, path, 0), 0);
    assert_false(found(sample, store, plan));
}

static void a_broken_record_is_none(void **state)
{
    Sample *sample = *state;
    g_autoptr(IngotStore) store = open_store(sample);
    g_autoptr(Plan) plan = sample_plan(sample, STEPS);
    build(sample, store, plan);
    g_autofree char *path = record_path(sample, plan);
    assert_true(ingot_file_replace(path, "{\"dig", 5, 0644, NULL));
    assert_false(found(sample, store, plan));
    build(sample, store, plan);
    assert_true(found(sample, store, plan));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SAMPLE_TEST(a_record_leads_to_its_image),
        SAMPLE_TEST(another_plan_has_none),
        SAMPLE_TEST(an_image_that_is_not_there_is_not_found),
        SAMPLE_TEST(one_stage_too_old_is_enough),
        SAMPLE_TEST(an_older_version_is_none),
        SAMPLE_TEST(a_broken_record_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
