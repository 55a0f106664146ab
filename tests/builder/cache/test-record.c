/* Records lead to images that are still there and may still stand, and to nothing else. */
#include "sample.h"

#include <utime.h>

#include "cache/record.h"

#define STEPS "[{shell: one}, {shell: two, max_age: 1h}]"

static IngotStore *open_store(const Sample *sample)
{
    g_autofree char *path = sample_path(sample, "store");
    IngotStore *store = ingot_store_open(path, NULL);
    assert_non_null(store);
    return store;
}

static RecordOf tested(const Plan *plan)
{
    return (RecordOf){.plan = plan, .version = "1.0.0", .tested = TRUE};
}

/* A small image that no name stands for. */
static IngotDescriptor store_image(const Sample *sample, IngotStore *store)
{
    g_autofree char *path = sample_path(sample, "built.raw"), *bytes = g_strnfill(1 << 20, 'x');
    assert_true(g_file_set_contents(path, bytes, 1 << 20, NULL));
    g_autoptr(IngotBlocks) blocks = ingot_blocks_open(path, "raw", NULL);
    IngotPackOptions options = {0};
    g_autoptr(IngotPacked) packed = ingot_store_pack(store, blocks, &options, NULL);
    assert_non_null(packed);
    const IngotPackedDisk disk = {{packed->digest, packed->size}, packed->index};
    g_autoptr(json_t) config = ingot_config_new("amd64", packed->index->disk_size);
    IngotDescriptor manifest;
    assert_true(ingot_store_add_image(store, NULL, NULL, config, NULL, &disk, 1, &manifest, NULL));
    return manifest;
}

/* It was built, and its image is in the store. */
static IngotDescriptor build_as(const Sample *sample, IngotStore *store, const RecordOf *of)
{
    g_autoptr(GPtrArray) runs = sample_runs(of->plan, "aaa");
    IngotDescriptor manifest = store_image(sample, store);
    assert_true(record_save(sample->cache, of, runs, &manifest, NULL));
    return manifest;
}

static IngotDescriptor build(const Sample *sample, IngotStore *store, const Plan *plan)
{
    const RecordOf of = tested(plan);
    return build_as(sample, store, &of);
}

static gboolean found_as(const Sample *sample, IngotStore *store, const RecordOf *of)
{
    IngotDescriptor manifest;
    return record_find(sample->cache, store, of, SAMPLE_BEGAN, &manifest);
}

static gboolean found(const Sample *sample, IngotStore *store, const Plan *plan)
{
    const RecordOf of = tested(plan);
    return found_as(sample, store, &of);
}

/* The only one there is. */
static char *record_path(const Sample *sample)
{
    g_autofree char *folder = g_build_filename(sample->cache, "images", NULL);
    g_autoptr(GDir) names = g_dir_open(folder, 0, NULL);
    return g_build_filename(folder, g_dir_read_name(names), NULL);
}

static void a_record_leads_to_its_image(void **state)
{
    Sample *sample = *state;
    g_autoptr(IngotStore) store = open_store(sample);
    g_autoptr(Plan) plan = sample_plan(sample, STEPS);
    IngotDescriptor expected, manifest;
    assert_false(found(sample, store, plan));
    expected = build(sample, store, plan);
    const RecordOf of = tested(plan);
    assert_true(record_find(sample->cache, store, &of, SAMPLE_BEGAN, &manifest));
    assert_memory_equal(&manifest.digest, &expected.digest, sizeof manifest.digest);
    assert_int_equal(manifest.size, expected.size);
}

/* An image of uncommitted changes says so; one of a clean commit stands for both. */
static void an_image_of_changes_is_none_of_a_clean_commit(void **state)
{
    Sample *sample = *state;
    g_autoptr(IngotStore) store = open_store(sample);
    g_autoptr(Plan) plan = sample_plan(sample, STEPS);
    RecordOf clean = tested(plan);
    clean.clean = TRUE;
    build(sample, store, plan);
    assert_true(found(sample, store, plan));
    assert_false(found_as(sample, store, &clean));
    build_as(sample, store, &clean);
    assert_true(found_as(sample, store, &clean));
    assert_true(found(sample, store, plan));
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

/* "Nothing changed" would give a name to an image that nobody can read. */
static void an_image_that_lacks_a_blob_is_not_found(void **state)
{
    Sample *sample = *state;
    g_autoptr(IngotStore) store = open_store(sample);
    g_autoptr(Plan) plan = sample_plan(sample, STEPS);
    const IngotDescriptor image = build(sample, store, plan);
    g_autoptr(GBytes) bytes = ingot_store_read(store, &image.digest, INGOT_MANIFEST_MAX, NULL);
    g_autoptr(IngotManifest) parts =
        ingot_manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), "manifest", NULL);
    const IngotDescriptor *const blobs[] = {&parts->config, &ingot_manifest_disk(parts, 0)->index,
                                            &ingot_manifest_disk(parts, 0)->disk};
    for (guint i = 0; i < G_N_ELEMENTS(blobs); i++) {
        g_autofree char *path = ingot_store_blob_path(store, &blobs[i]->digest), *away = g_strconcat(path, "-", NULL);
        assert_int_equal(g_rename(path, away), 0);
        assert_false(found(sample, store, plan));
        assert_int_equal(g_rename(away, path), 0);
        assert_true(found(sample, store, plan));
    }
}

/* One that would not be read back is not written, and the one before it stays. */
static void a_record_that_is_too_large_is_not_written(void **state)
{
    Sample *sample = *state;
    g_autoptr(IngotStore) store = open_store(sample);
    g_autoptr(Plan) plan = sample_plan(sample, STEPS);
    const RecordOf of = tested(plan);
    const IngotDescriptor image = build(sample, store, plan);
    g_autoptr(GPtrArray) runs = sample_runs(plan, "aaa");
    g_autofree char *long_path = g_strnfill(17 << 20, 'x');
    ((NodeRun *)g_ptr_array_index(runs, 2))->made = json_pack("{s:i}", long_path, 1);
    g_autoptr(GError) error = NULL;
    assert_false(record_save(sample->cache, &of, runs, &image, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    assert_true(found(sample, store, plan));
}

/* Many files of one stage, with paths as long as they may be. */
static void a_record_of_many_files_is_read_back(void **state)
{
    Sample *sample = *state;
    g_autoptr(IngotStore) store = open_store(sample);
    g_autoptr(Plan) plan = sample_plan(sample, STEPS);
    const RecordOf of = tested(plan);
    const IngotDescriptor image = build(sample, store, plan);
    g_autoptr(GPtrArray) runs = sample_runs(plan, "aaa");
    g_autofree char *slashes = g_strnfill(3900, '/'), *folder = sample_path(sample, "out");
    g_autofree char *root = g_strconcat(slashes, folder, NULL);
    for (guint i = 0; i < 1100; i++) {
        g_autofree char *name = g_strdup_printf("out/%u", i);
        sample_write(sample, name, "1");
    }
    NodeRun *run = g_ptr_array_index(runs, 2);
    run->made = sample_made(root);
    assert_int_equal(json_object_size(run->made), 1100);
    assert_true(record_save(sample->cache, &of, runs, &image, NULL));
    assert_true(found(sample, store, plan));
    sample_write(sample, "out/1099", "2");
    assert_false(found(sample, store, plan));
}

static void one_stage_too_old_is_enough(void **state)
{
    Sample *sample = *state;
    g_autoptr(IngotStore) store = open_store(sample);
    g_autoptr(Plan) plan = sample_plan(sample, STEPS);
    IngotDescriptor manifest;
    build(sample, store, plan);
    const RecordOf of = tested(plan);
    assert_true(record_find(sample->cache, store, &of, SAMPLE_BEGAN + 3600, &manifest));
    assert_false(record_find(sample->cache, store, &of, SAMPLE_BEGAN + 3601, &manifest));
}

/* As a --refresh leaves it that ran a step anew and then failed: the image is not what the recipe gives any more. */
static void a_later_run_of_a_step_is_enough(void **state)
{
    Sample *sample = *state;
    g_autoptr(IngotStore) store = open_store(sample);
    g_autoptr(Plan) plan = sample_plan(sample, STEPS);
    build(sample, store, plan);
    sample_node(sample, plan, "own", NULL, "aa");
    assert_true(found(sample, store, plan));
    sample_node(sample, plan, "later", NULL, "ab");
    assert_false(found(sample, store, plan));
    /* A build from a copy of the source would not go on from it. */
    RecordOf elsewhere = tested(plan);
    elsewhere.source = "/another/disk.raw";
    assert_true(found_as(sample, store, &elsewhere));
}

static void a_later_boot_is_not(void **state)
{
    Sample *sample = *state;
    g_autoptr(IngotStore) store = open_store(sample);
    g_autoptr(Plan) plan = sample_plan(sample, STEPS);
    build(sample, store, plan);
    sample_node(sample, plan, "booted", NULL, "b");
    assert_true(found(sample, store, plan));
}

static void an_older_version_is_none(void **state)
{
    Sample *sample = *state;
    g_autoptr(IngotStore) store = open_store(sample);
    g_autoptr(Plan) plan = sample_plan(sample, STEPS);
    build(sample, store, plan);
    g_autofree char *path = record_path(sample);
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
    g_autofree char *path = record_path(sample);
    assert_true(ingot_file_replace(path, "{\"dig", 5, 0644, NULL));
    assert_false(found(sample, store, plan));
    build(sample, store, plan);
    assert_true(found(sample, store, plan));
}

/* What was built with --no-test does not stand for what is to be tested. */
static void an_untested_image_is_not_a_tested_one(void **state)
{
    Sample *sample = *state;
    g_autoptr(IngotStore) store = open_store(sample);
    g_autoptr(Plan) plan = sample_plan(sample, STEPS);
    const RecordOf untested = {.plan = plan, .version = "1.0.0"};
    build_as(sample, store, &untested);
    assert_true(found_as(sample, store, &untested));
    assert_false(found(sample, store, plan));
    build(sample, store, plan);
    assert_true(found(sample, store, plan));
    assert_true(found_as(sample, store, &untested));
}

/* The manifest says the version. */
static void another_version_is_another_image(void **state)
{
    Sample *sample = *state;
    g_autoptr(IngotStore) store = open_store(sample);
    g_autoptr(Plan) plan = sample_plan(sample, STEPS);
    const RecordOf other = {.plan = plan, .version = "2.0.0", .tested = TRUE};
    build(sample, store, plan);
    assert_false(found_as(sample, store, &other));
}

/* The sweep removes what was not used for long. */
static void a_record_that_is_found_counts_as_used(void **state)
{
    Sample *sample = *state;
    g_autoptr(IngotStore) store = open_store(sample);
    g_autoptr(Plan) plan = sample_plan(sample, STEPS);
    build(sample, store, plan);
    g_autofree char *path = record_path(sample);
    assert_int_equal(g_utime(path, &(struct utimbuf){1, 1}), 0);
    assert_true(found(sample, store, plan));
    GStatBuf status;
    assert_int_equal(g_stat(path, &status), 0);
    assert_true(status.st_mtime > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SAMPLE_TEST(a_record_leads_to_its_image),
        SAMPLE_TEST(an_image_of_changes_is_none_of_a_clean_commit),
        SAMPLE_TEST(another_plan_has_none),
        SAMPLE_TEST(an_image_that_is_not_there_is_not_found),
        SAMPLE_TEST(an_image_that_lacks_a_blob_is_not_found),
        SAMPLE_TEST(a_record_that_is_too_large_is_not_written),
        SAMPLE_TEST(a_record_of_many_files_is_read_back),
        SAMPLE_TEST(one_stage_too_old_is_enough),
        SAMPLE_TEST(a_later_run_of_a_step_is_enough),
        SAMPLE_TEST(a_later_boot_is_not),
        SAMPLE_TEST(an_older_version_is_none),
        SAMPLE_TEST(a_broken_record_is_none),
        SAMPLE_TEST(an_untested_image_is_not_a_tested_one),
        SAMPLE_TEST(another_version_is_another_image),
        SAMPLE_TEST(a_record_that_is_found_counts_as_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
