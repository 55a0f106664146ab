/* Evidence: what is written is read back; what is not evidence, or about another image, is not taken for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <ingot/error.h>

#include "evidence/packages.h"
#include "evidence/provenance.h"
#include "evidence/testresult.h"
#include "trust/intoto.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static Statement *stated(const char *type, json_t *predicate, const IngotDigest *image)
{
    g_autoptr(json_t) owned = predicate;
    g_autofree char *text = intoto_write(image, "web", type, owned);
    g_autoptr(GError) error = NULL;
    Statement *statement = statement_parse(text, strlen(text), &error);
    assert_null(error);
    return statement;
}

static void a_statement_is_about_its_subjects_alone(void **state)
{
    (void)state;
    IngotDigest image, other;
    ingot_digest_of("image", 5, &image);
    ingot_digest_of("other", 5, &other);
    g_autoptr(Statement) statement = stated("urn:x", json_object(), &image);
    assert_string_equal(statement->predicate_type, "urn:x");
    assert_true(statement_is_about(statement, &image));
    assert_false(statement_is_about(statement, &other));
}

static void refused(const char *text)
{
    g_autoptr(GError) error = NULL;
    assert_null(statement_parse(text, strlen(text), &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
}

static void what_is_no_statement_is_refused(void **state)
{
    (void)state;
    refused("");
    refused("[]");
    refused("{\"_type\":\"https://in-toto.io/Statement/v0.1\",\"subject\":[],\"predicateType\":\"x\"}");
    refused("{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":{},\"predicateType\":\"x\"}");
    refused("{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[]}");
    g_autoptr(GString) many = g_string_new("{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicateType\":\"x\","
                                           "\"subject\":[0");
    for (guint i = 0; i < STATEMENT_VALUES; i++) {
        g_string_append(many, ",0");
    }
    g_string_append(many, "]}");
    refused(many->str);
}

static void subjects_of_other_kinds_are_passed_over(void **state)
{
    (void)state;
    const char *text = "{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicateType\":\"x\",\"predicate\":7,"
                       "\"subject\":[null,{\"digest\":{\"sha1\":\"" HEX "\"}},{\"digest\":{\"sha256\":\"short\"}},"
                       "{\"digest\":{\"sha256\":\"" HEX "\"}}]}";
    g_autoptr(Statement) statement = statement_parse(text, strlen(text), NULL);
    IngotDigest image;
    assert_true(ingot_digest_parse("sha256:" HEX, &image, NULL));
    assert_non_null(statement);
    assert_int_equal(statement->subjects->len, 1);
    assert_true(statement_is_about(statement, &image));
    assert_null(statement->predicate);
}

static void a_test_result_comes_back(void **state)
{
    (void)state;
    IngotDigest image;
    ingot_digest_of("image", 5, &image);
    g_autoptr(TestResult) made = test_result_new();
    test_result_add_recipe(made, "cis.yaml", &image);
    g_ptr_array_add(made->good, g_strdup("port 80"));
    made->passed = TRUE;
    made->environment = g_strdup("staging");
    made->finished = g_strdup("2026-11-30T05:00:00Z");
    made->junit = g_strdup("<x/>");
    made->variables = json_pack("{s:s}", "level", "0");
    g_autoptr(Statement) statement = stated(TEST_RESULT_PREDICATE, test_result_write(made), &image);
    g_autoptr(TestResult) read = test_result_read(statement, NULL);
    assert_non_null(read);
    assert_true(read->passed);
    const TestRecipe *recipe = g_ptr_array_index(read->recipes, 0);
    assert_string_equal(recipe->name, "cis.yaml");
    assert_true(recipe->has_digest && ingot_digest_equal(&recipe->digest, &image));
    assert_string_equal(g_ptr_array_index(read->good, 0), "port 80");
    assert_int_equal(read->bad->len, 0);
    assert_string_equal(read->environment, "staging");
    assert_string_equal(read->finished, "2026-11-30T05:00:00Z");
    assert_string_equal(read->junit, "<x/>");
    assert_true(json_equal(read->variables, made->variables));
    assert_null(provenance_read(statement, NULL));
}

/* A report that contradicts itself is a failed one. */
static void a_failed_test_is_not_passed(void **state)
{
    (void)state;
    IngotDigest image;
    ingot_digest_of("image", 5, &image);
    const char *words[] = {"PASSED", "FAILED", "WARNED", "passed"};
    for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
        json_t *predicate = json_pack("{s:s, s:[{}]}", "result", words[i], "failedTests");
        g_autoptr(Statement) statement = stated(TEST_RESULT_PREDICATE, predicate, &image);
        g_autoptr(TestResult) read = test_result_read(statement, NULL);
        assert_false(read->passed);
    }
    g_autoptr(Statement) odd =
        stated(TEST_RESULT_PREDICATE, json_pack("{s:s, s:s}", "result", "PASSED", "failedTests", "one"), &image);
    g_autoptr(TestResult) read = test_result_read(odd, NULL);
    assert_false(read->passed);
}

static void provenance_comes_back(void **state)
{
    (void)state;
    IngotDigest image;
    ingot_digest_of("image", 5, &image);
    g_autoptr(json_t) variables = json_pack("{s:s, s:s}", "port", "8080", "token", "***");
    const Provenance made = {.variables = variables,
                             .recipe_path = (char *)"recipes/web.yaml",
                             .recipe = (char *)"sha256:" HEX,
                             .repository = (char *)"https://git.example/team/web",
                             .branch = (char *)"main",
                             .commit = (char *)"0123456789012345678901234567890123456789",
                             .clean = TRUE,
                             .base = (char *)"h.example/base:1.0.0",
                             .base_digest = (char *)"sha256:" HEX,
                             .builder = (char *)PROVENANCE_LOCAL_BUILDER,
                             .version = (char *)"0.2",
                             .started = (char *)"2026-11-30T05:00:00Z",
                             .finished = (char *)"2026-11-30T05:01:00Z"};
    g_autoptr(Statement) statement = stated(PROVENANCE_PREDICATE, provenance_write(&made), &image);
    g_autoptr(Provenance) read = provenance_read(statement, NULL);
    assert_non_null(read);
    assert_true(json_equal(read->variables, variables));
    assert_string_equal(read->recipe_path, made.recipe_path);
    assert_string_equal(read->recipe, made.recipe);
    assert_string_equal(read->repository, made.repository);
    assert_string_equal(read->branch, made.branch);
    assert_string_equal(read->commit, made.commit);
    assert_true(read->clean);
    assert_string_equal(read->base, made.base);
    assert_string_equal(read->base_digest, made.base_digest);
    assert_string_equal(read->builder, made.builder);
    assert_string_equal(read->version, made.version);
    assert_string_equal(read->started, made.started);
    assert_string_equal(read->finished, made.finished);
    assert_null(test_result_read(statement, NULL));
}

/* Outside of any repository nothing is claimed. */
static void provenance_claims_no_more_than_is_known(void **state)
{
    (void)state;
    IngotDigest image;
    ingot_digest_of("image", 5, &image);
    const Provenance made = {.recipe_path = (char *)"web.yaml"};
    g_autoptr(Statement) statement = stated(PROVENANCE_PREDICATE, provenance_write(&made), &image);
    g_autoptr(Provenance) read = provenance_read(statement, NULL);
    assert_non_null(read);
    assert_false(read->clean);
    assert_null(read->repository);
    assert_null(read->commit);
    assert_null(read->base);
}

static void packages_are_read(void **state)
{
    (void)state;
    const char *text =
        "{\"spdxVersion\":\"SPDX-2.3\",\"packages\":[{\"name\":\"openssl\",\"versionInfo\":\"3.0.16-1\","
        "\"externalRefs\":[{\"referenceType\":\"cpe23Type\",\"referenceLocator\":\"cpe\"},{\"referenceType\":\"purl\","
        "\"referenceLocator\":\"pkg:deb/debian/openssl@3.0.16-1\"}]},{\"name\":\"unsaid\"},7,{\"versionInfo\":\"1\"},"
        "{\"name\":\"odd\",\"versionInfo\":\"1\",\"externalRefs\":[{\"referenceType\":\"purl\",\"referenceLocator\":"
        "\"x\"}]},{\"name\":\"unsaid\",\"versionInfo\":\"NOASSERTION\"},{\"name\":\"unsaid\",\"versionInfo\":7}]}";
    g_autoptr(GPtrArray) packages = packages_parse(text, strlen(text), NULL);
    assert_non_null(packages);
    assert_int_equal(packages->len, 5);
    const Package *first = g_ptr_array_index(packages, 0);
    assert_string_equal(first->name, "openssl");
    assert_string_equal(first->version, "3.0.16-1");
    assert_string_equal(first->type, "deb");
    /* The image has it, whatever its version is. */
    const guint unsaid[] = {1, 3, 4};
    for (guint i = 0; i < G_N_ELEMENTS(unsaid); i++) {
        const Package *one = g_ptr_array_index(packages, unsaid[i]);
        assert_string_equal(one->name, "unsaid");
        assert_null(one->version);
    }
    const Package *odd = g_ptr_array_index(packages, 2);
    assert_string_equal(odd->name, "odd");
    assert_null(odd->type);
    const char *wrong[] = {"", "{}", "{\"spdxVersion\":\"SPDX-3.0\"}",
                           "{\"spdxVersion\":\"SPDX-2.3\",\"packages\":{}}"};
    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        assert_null(packages_parse(wrong[i], strlen(wrong[i]), &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_statement_is_about_its_subjects_alone),
        cmocka_unit_test(what_is_no_statement_is_refused),
        cmocka_unit_test(subjects_of_other_kinds_are_passed_over),
        cmocka_unit_test(a_test_result_comes_back),
        cmocka_unit_test(a_failed_test_is_not_passed),
        cmocka_unit_test(provenance_comes_back),
        cmocka_unit_test(provenance_claims_no_more_than_is_known),
        cmocka_unit_test(packages_are_read),
    };
    return cmocka_run_group_tests_name("evidence", tests, NULL, NULL);
}
