#include "evidence/testresult.h"

#include <ingot/error.h>

#define HEX_BEGIN 7 /* behind "sha256:" */

static void test_recipe_free(gpointer data)
{
    TestRecipe *recipe = data;
    g_free(recipe->name);
    g_free(recipe);
}

TestResult *test_result_new(void)
{
    TestResult *result = g_new0(TestResult, 1);
    result->recipes = g_ptr_array_new_with_free_func(test_recipe_free);
    result->good = g_ptr_array_new_with_free_func(g_free);
    result->bad = g_ptr_array_new_with_free_func(g_free);
    return result;
}

void test_result_free(TestResult *result)
{
    if (result != NULL) {
        g_ptr_array_unref(result->recipes);
        g_ptr_array_unref(result->good);
        g_ptr_array_unref(result->bad);
        g_free(result->junit);
        g_free(result->environment);
        g_free(result->finished);
        json_decref(result->variables);
        g_free(result);
    }
}

void test_result_add_recipe(TestResult *result, const char *name, const IngotDigest *digest)
{
    TestRecipe *recipe = g_new0(TestRecipe, 1);
    recipe->name = g_strdup(name);
    recipe->has_digest = digest != NULL;
    if (digest != NULL) {
        recipe->digest = *digest;
    }
    g_ptr_array_add(result->recipes, recipe);
}

static void result_read_recipes(TestResult *result, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(one, "name"));
        const char *hex = json_string_value(json_object_get(json_object_get(one, "digest"), "sha256"));
        g_autofree char *text = hex == NULL ? NULL : g_strconcat("sha256:", hex, NULL);
        IngotDigest digest;
        gboolean known = text != NULL && ingot_digest_parse(text, &digest, NULL);
        if (name != NULL) {
            test_result_add_recipe(result, name, known ? &digest : NULL);
        }
    }
}

static void result_read_names(GPtrArray *names, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (name != NULL) {
            g_ptr_array_add(names, g_strdup(name));
        }
    }
}

TestResult *test_result_read(const Statement *statement, GError **error)
{
    const json_t *predicate = statement->predicate;
    const char *word = json_string_value(json_object_get(predicate, "result"));
    if (g_strcmp0(statement->predicate_type, TEST_RESULT_PREDICATE) != 0 || word == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "this statement is not a test result");
        return NULL;
    }
    TestResult *result = test_result_new();
    result_read_recipes(result, json_object_get(predicate, "configuration"));
    result_read_names(result->good, json_object_get(predicate, "passedTests"));
    const json_t *failed = json_object_get(predicate, "failedTests");
    result_read_names(result->bad, failed);
    result->passed =
        g_strcmp0(word, "PASSED") == 0 && (failed == NULL || json_is_array(failed)) && json_array_size(failed) == 0;
    const json_t *own = json_object_get(predicate, "ingot");
    result->junit = g_strdup(json_string_value(json_object_get(own, "junit")));
    result->environment = g_strdup(json_string_value(json_object_get(own, "environment")));
    result->finished = g_strdup(json_string_value(json_object_get(own, "finished")));
    result->variables = json_incref(json_object_get(own, "variables"));
    return result;
}

static json_t *names_json(const GPtrArray *names)
{
    json_t *list = json_array();
    for (guint i = 0; i < names->len; i++) {
        json_array_append_new(list, ingot_json_text(g_ptr_array_index(names, i)));
    }
    return list;
}

static json_t *recipe_json(const TestRecipe *recipe)
{
    json_t *one = json_object();
    ingot_json_set_string(one, "name", recipe->name);
    if (recipe->has_digest) {
        char text[INGOT_DIGEST_TEXT_SIZE];
        ingot_digest_write_text(&recipe->digest, text);
        json_object_set_new(one, "digest", json_pack("{s:s}", "sha256", text + HEX_BEGIN));
    }
    return one;
}

json_t *test_result_write(const TestResult *result)
{
    json_t *configuration = json_array();
    for (guint i = 0; i < result->recipes->len; i++) {
        json_array_append_new(configuration, recipe_json(g_ptr_array_index(result->recipes, i)));
    }
    json_t *own = json_object();
    ingot_json_set_string(own, "junit", result->junit);
    ingot_json_set_string(own, "environment", result->environment);
    ingot_json_set_string(own, "finished", result->finished);
    if (result->variables != NULL) {
        json_object_set(own, "variables", result->variables);
    }
    return ingot_json_pack("{s:s, s:o, s:o, s:o, s:o}", "result", result->passed ? "PASSED" : "FAILED", "configuration",
                           configuration, "passedTests", names_json(result->good), "failedTests",
                           names_json(result->bad), "ingot", own);
}
