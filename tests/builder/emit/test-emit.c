/* An image in the store: whoever finds its name finds its reports. */
#include "emit/emit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "base/terminal.h"
#include "evidence/testresult.h"
#include "trust/bundle.h"

#define PACKAGES "{\"packages\": []}"

typedef struct {
    IngotWorkdir *workdir;
    IngotStore *store;
    char *disk;
} Fixture;

static int set_up(void **state)
{
    static const guint8 bytes[8192] = {1};
    Fixture *fixture = g_new0(Fixture, 1);
    fixture->workdir = ingot_workdir_new(NULL);
    fixture->disk = ingot_workdir_file(fixture->workdir, "disk.raw");
    g_autofree char *path = ingot_workdir_file(fixture->workdir, "store");
    fixture->store = ingot_store_open(path, NULL);
    *state = fixture;
    return fixture->store != NULL && ingot_file_replace(fixture->disk, bytes, sizeof bytes, 0600, NULL) ? 0 : -1;
}

static int tear_down(void **state)
{
    Fixture *fixture = *state;
    ingot_store_free(fixture->store);
    ingot_workdir_free(fixture->workdir);
    g_free(fixture->disk);
    g_free(fixture);
    return 0;
}

static gboolean emit(const Fixture *fixture, IngotDescriptor *manifest, GError **error)
{
    g_autoptr(IngotProgress) progress = terminal_progress_new(TRUE);
    g_autoptr(json_t) config = json_object();
    g_autoptr(TestResult) result = test_result_new();
    result->passed = TRUE;
    g_autoptr(json_t) report = test_result_write(result);
    EmitOptions options = {.disk = fixture->disk,
                           .format = "raw",
                           .name = "web",
                           .tag = "1.0.0",
                           .config = config,
                           .report = report,
                           .spdx = PACKAGES};
    return emit_image(fixture->store, &options, progress, manifest, error);
}

/* The bundle that the store lists counts by its key, and says what the report says. */
static void a_statement_may_be_signed(void **state)
{
    const Fixture *fixture = *state;
    IngotDescriptor manifest, attached;
    g_autoptr(TrustKey) key = trust_key_generate(NULL), other = trust_key_generate(NULL);
    g_autoptr(TestResult) result = test_result_new();
    g_autoptr(json_t) report = test_result_write(result);
    TrustResult said = {0};
    assert_true(emit(fixture, &manifest, NULL));
    assert_true(emit_statement(fixture->store, &manifest, "web", TEST_RESULT_PREDICATE, report, key, &attached, NULL));
    g_autoptr(GBytes) bundle = ingot_store_attached(fixture->store, &manifest, TRUST_BUNDLE_TYPE, NULL);
    assert_non_null(bundle);
    gsize size;
    const void *bytes = g_bytes_get_data(bundle, &size);
    assert_false(
        trust_bundle_verify(bytes, size, &(TrustSigners){.keys = &other, .count = 1}, &manifest.digest, &said, NULL));
    assert_true(
        trust_bundle_verify(bytes, size, &(TrustSigners){.keys = &key, .count = 1}, &manifest.digest, &said, NULL));
    assert_string_equal(said.predicate_type, TEST_RESULT_PREDICATE);
    trust_result_clear(&said);
    g_autoptr(GBytes) text = ingot_store_read(fixture->store, &attached.digest, 1 << 20, NULL);
    g_autoptr(json_t) root = ingot_json_parse_bytes(text, "manifest", 1000, NULL);
    const json_t *annotations = json_object_get(root, "annotations");
    assert_string_equal(json_string_value(json_object_get(annotations, TRUST_PREDICATE_KEY)), TEST_RESULT_PREDICATE);
}

static guint count_names(const Fixture *fixture)
{
    g_autoptr(GPtrArray) list = ingot_store_list(fixture->store, NULL);
    assert_non_null(list);
    return list->len;
}

static void the_name_has_its_reports(void **state)
{
    const Fixture *fixture = *state;
    IngotDescriptor manifest;
    assert_true(emit(fixture, &manifest, NULL));
    assert_int_equal(count_names(fixture), 1);
    g_autoptr(GBytes) report = ingot_store_attached(fixture->store, &manifest, STATEMENT_TYPE, NULL);
    g_autoptr(GBytes) spdx = ingot_store_attached(fixture->store, &manifest, INGOT_TYPE_SPDX, NULL);
    assert_non_null(report);
    assert_non_null(spdx);
    g_autoptr(Statement) statement = statement_parse(g_bytes_get_data(report, NULL), g_bytes_get_size(report), NULL);
    assert_non_null(statement);
    assert_true(statement_is_about(statement, &manifest.digest));
    g_autoptr(TestResult) result = test_result_read(statement, NULL);
    assert_true(result->passed);
}

/* The folder that stands where the report's blob belongs keeps it from being written. */
static void an_image_without_its_reports_has_no_name(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;
    IngotDescriptor manifest;
    IngotDigest digest;
    ingot_digest_of(PACKAGES, strlen(PACKAGES), &digest);
    g_autofree char *path = ingot_store_blob_path(fixture->store, &digest);
    g_autofree char *within = g_build_filename(path, "x", NULL);
    assert_int_equal(g_mkdir_with_parents(within, 0700), 0);
    assert_false(emit(fixture, &manifest, &error));
    assert_non_null(error);
    assert_int_equal(count_names(fixture), 0);
    assert_int_equal(rmdir(within), 0);
    assert_int_equal(rmdir(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_name_has_its_reports, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_statement_may_be_signed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_image_without_its_reports_has_no_name, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
