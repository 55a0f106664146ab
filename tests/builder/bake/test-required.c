/* What a pipeline requires: its tests and outputs come to a recipe, count in its key, and are said of the image. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <ingot/error.h>

#include "bake/config.h"
#include "bake/said.h"
#include "base/file.h"
#include "plan/plan.h"
#include "recipe/required.h"

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

static Recipe *load(const IngotWorkdir *workdir, const char *name, const char *text, const RecipeInputs *inputs)
{
    g_autofree char *path = ingot_workdir_file(workdir, name);
    g_autoptr(GError) error = NULL;
    assert_true(g_file_set_contents(path, text, -1, NULL));
    Recipe *recipe = recipe_load(path, inputs, &error);
    if (recipe == NULL) {
        fail_msg("%s", error->message);
    }
    return recipe;
}

static Recipe *load_web(const IngotWorkdir *workdir)
{
    return load(workdir, "web.yaml", "name: web\nsource: {from: base:1}\ntests: [{port: 80}]\noutputs: [raw]\n", NULL);
}

static json_t *required_of(const char *output)
{
    return ingot_json_pack("{s:s, s:s, s:[{s:s, s:s}], s:[s, s]}", "pipeline", "a.example/web", "digest",
                           "sha256:" ZEROS, "tests", "name", "cis.yaml", "digest", "sha256:" ZEROS, "outputs", "raw",
                           output);
}

static void expect(const json_t *value, const char *expected)
{
    g_autofree char *text = ingot_json_canonical(value);
    assert_string_equal(text, expected);
}

static GPtrArray *tests_of(const IngotWorkdir *workdir)
{
    const RecipeInputs inputs = {.tests_only = TRUE, .defaults_only = TRUE};
    GPtrArray *tests = g_ptr_array_new_with_free_func((GDestroyNotify)recipe_free);
    g_setenv("INGOT_VAR_port", "1", TRUE);
    g_ptr_array_add(tests, load(workdir, "cis.yaml",
                                "name: cis\nvariables: {port: 22}\ntests: [{port: \"${port}\"}]\n"
                                "steps: [{file: {from: nowhere, to: /}}]\n",
                                &inputs));
    g_unsetenv("INGOT_VAR_port");
    return tests;
}

static void what_is_required_is_added_and_said(void **state)
{
    (void)state;
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(NULL);
    g_autoptr(Recipe) recipe = load_web(workdir), plain = load_web(workdir);
    g_autoptr(GPtrArray) tests = tests_of(workdir);
    g_autoptr(json_t) required = required_of("vhd"), steps = json_array();
    g_autoptr(GError) error = NULL;
    assert_true(recipe_require(recipe, required, tests, &error));
    expect(json_object_get(recipe->tree, "outputs"), "[\"raw\",\"vhd\"]");
    expect(json_object_get(recipe->public_tree, "outputs"), "[\"raw\",\"vhd\"]");
    assert_int_equal(
        json_integer_value(json_object_get(json_array_get(json_object_get(recipe->tree, "tests"), 1), "port")), 22);
    assert_true(json_equal(json_object_get(recipe->tree, "tests"), json_object_get(recipe->public_tree, "tests")));
    g_autoptr(Plan) plan = plan_new(recipe, "source", "salt", NULL), other = plan_new(plain, "source", "salt", NULL);
    assert_false(ingot_digest_equal(&plan->image, &other->image));
    const Origin nowhere = {0};
    const ConfigFacts facts = {.recipe = recipe, .origin = &nowhere, .steps = steps};
    g_autoptr(json_t) config = config_new(&facts);
    expect(json_object_get(config, "required"), "{\"digest\":\"sha256:" ZEROS "\",\"pipeline\":\"a.example/web\"}");
    g_autoptr(json_t) built = said_of_build(recipe, config, &nowhere, 0);
    expect(
        json_object_get(json_object_get(json_object_get(built, "buildDefinition"), "externalParameters"), "required"),
        "{\"digest\":{\"sha256\":\"" ZEROS "\"},\"pipeline\":\"a.example/web\"}");
    g_autoptr(GPtrArray) none = g_ptr_array_new();
    const CheckReport report = {.suite = (char *)"", .good = none, .bad = none};
    g_autoptr(json_t) said = said_of_tests(recipe, &report, NULL);
    expect(json_array_get(json_object_get(said, "configuration"), 1),
           "{\"digest\":{\"sha256\":\"" ZEROS "\"},\"name\":\"cis.yaml\"}");
}

/* The image says by which requirement it was built, so that it is another one where that alone is another. */
static void the_requirement_counts_in_the_key(void **state)
{
    (void)state;
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(NULL);
    g_autoptr(Recipe) one = load_web(workdir), two = load_web(workdir);
    g_autoptr(GPtrArray) tests = tests_of(workdir);
    g_autoptr(json_t) required = required_of("vhd");
    assert_true(recipe_require(one, required, tests, NULL));
    json_object_set_new(required, "digest", json_string("sha256:1111"));
    assert_true(recipe_require(two, required, tests, NULL));
    g_autoptr(Plan) plan = plan_new(one, "source", "salt", NULL), other = plan_new(two, "source", "salt", NULL);
    assert_false(ingot_digest_equal(&plan->image, &other->image));
}

static void an_output_that_is_no_format_is_refused(void **state)
{
    (void)state;
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(NULL);
    g_autoptr(Recipe) recipe = load_web(workdir);
    g_autoptr(GPtrArray) none = g_ptr_array_new();
    g_autoptr(json_t) required = required_of("floppy");
    g_autoptr(GError) error = NULL;
    assert_false(recipe_require(recipe, required, none, &error));
    assert_non_null(strstr(error->message, "a.example/web requires the output 'floppy'"));
    assert_null(recipe->required);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_required_is_added_and_said),
        cmocka_unit_test(the_requirement_counts_in_the_key),
        cmocka_unit_test(an_output_that_is_no_format_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
