#include "recipe/required.h"

#include <ingot/error.h>
#include <ingot/format.h>

#include "base/secrets.h"

/* The tree's list, made where there is none. */
static json_t *part_of(json_t *tree, const char *name)
{
    json_t *list = json_object_get(tree, name);
    if (list == NULL) {
        list = json_array();
        json_object_set_new(tree, name, list);
    }
    return list;
}

static void add_tests(json_t *tree, const json_t *other)
{
    json_t *list = part_of(tree, "tests");
    const json_t *tests = json_object_get(other, "tests");
    for (gsize i = 0; i < json_array_size(tests); i++) {
        json_array_append_new(list, json_deep_copy(json_array_get(tests, i)));
    }
}

static void add_recipe(Recipe *recipe, const Recipe *test)
{
    add_tests(recipe->tree, test->tree);
    add_tests(recipe->public_tree, test->public_tree);
    for (guint i = 0; i < test->secrets->len; i++) {
        ingot_secrets_add(recipe->secrets, g_ptr_array_index(test->secrets, i));
    }
}

static void add_output(json_t *tree, const char *name)
{
    json_t *outputs = part_of(tree, "outputs");
    if (!ingot_json_has_text(outputs, name)) {
        json_array_append_new(outputs, json_string(name));
    }
}

static gboolean check_outputs(const json_t *required, GError **error)
{
    const json_t *outputs = json_object_get(required, "outputs");
    for (gsize i = 0; i < json_array_size(outputs); i++) {
        const char *name = json_string_value(json_array_get(outputs, i));
        if (name == NULL || ingot_format_find(name, NULL) == NULL) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                        "the pipeline of %s requires the output '%s', which is not a format that this Ingot knows",
                        json_string_value(json_object_get(required, "pipeline")), name == NULL ? "?" : name);
            return FALSE;
        }
    }
    return TRUE;
}

gboolean recipe_require(Recipe *recipe, const json_t *required, const GPtrArray *tests, GError **error)
{
    const json_t *outputs = json_object_get(required, "outputs");
    if (!check_outputs(required, error)) {
        return FALSE;
    }
    for (guint i = 0; i < tests->len; i++) {
        add_recipe(recipe, g_ptr_array_index(tests, i));
    }
    for (gsize i = 0; i < json_array_size(outputs); i++) {
        add_output(recipe->tree, json_string_value(json_array_get(outputs, i)));
        add_output(recipe->public_tree, json_string_value(json_array_get(outputs, i)));
    }
    recipe->required = json_deep_copy(required);
    return TRUE;
}
