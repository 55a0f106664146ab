/* The tables of keys: recipes/recipe.schema.json is what they say, and every key is described. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "recipe/kinds.h"
#include "recipe/schema.h"
#include "seal/rules.h"

static void the_schema_is_made_of_the_tables(void **state)
{
    (void)state;
    g_autofree char *folder = g_path_get_dirname(__FILE__);
    g_autofree char *path = g_build_filename(folder, "../../../recipes/recipe.schema.json", NULL);
    g_autoptr(json_t) schema = recipe_schema();
    g_autofree char *made = ingot_json_pretty(schema), *kept = NULL;
    assert_true(g_file_get_contents(path, &kept, NULL, NULL));
    if (strcmp(made, kept) != 0) {
        fail_msg("recipes/recipe.schema.json is not what the tables say: `make schema` writes it");
    }
}

/* By itself, or by what it leads to. */
static gboolean is_described(const json_t *value)
{
    const json_t *given = json_object_get(value, "items") != NULL ? json_object_get(value, "items") : value;
    const char *reference = json_string_value(json_object_get(given, "$ref"));
    return json_object_get(value, "description") != NULL ||
           (reference != NULL && !g_str_has_suffix(reference, "/scalar") && !g_str_has_suffix(reference, "/duration") &&
            !g_str_has_suffix(reference, "/mode"));
}

static void every_key_is_described(void **state)
{
    (void)state;
    g_autoptr(json_t) schema = recipe_schema();
    const char *shape, *key;
    json_t *definition, *value;
    guint shapes = 0;
    json_object_foreach(json_object_get(schema, "$defs"), shape, definition)
    {
        json_object_foreach(json_object_get(definition, "properties"), key, value)
        {
            if (!is_described(value)) {
                fail_msg("%s.%s has no description", shape, key);
            }
        }
        shapes += json_object_get(definition, "properties") != NULL;
    }
    assert_true(shapes > 15);
}

static gboolean lists(const json_t *schema, const char *choice, const Variant *variant)
{
    g_autofree char *wanted = g_strconcat("#/$defs/", variant->shape->name, NULL);
    const json_t *either = json_object_get(json_object_get(json_object_get(schema, "$defs"), choice), "oneOf");
    gboolean found = FALSE;
    for (size_t i = 0; i < json_array_size(either) && !found; i++) {
        found = g_strcmp0(json_string_value(json_object_get(json_array_get(either, i), "$ref")), wanted) == 0;
    }
    return found;
}

static void every_kind_is_in_the_schema(void **state)
{
    (void)state;
    g_autoptr(json_t) schema = recipe_schema();
#define STEP(kind) assert_true(lists(schema, "step", &recipe_step_##kind));
#define TEST(kind) assert_true(lists(schema, "test", &recipe_test_##kind));
#define SOURCE(kind) assert_true(lists(schema, "source", &recipe_source_##kind));
    RECIPE_STEPS(STEP)
    RECIPE_TESTS(TEST)
    RECIPE_SOURCES(SOURCE)
}

static const Key *key_of(const Shape *shape, const char *name)
{
    const Key *key = shape->keys;
    while (strcmp(key->name, name) != 0) {
        key++;
    }
    return key;
}

static void seal_keeps_what_the_seal_removes(void **state)
{
    (void)state;
    const Key *keep = key_of(key_of(&recipe_shape, "seal")->shape, "keep");
    g_autoptr(GHashTable) words = g_hash_table_new(g_str_hash, g_str_equal);
    for (const SealRule *rule = seal_rules; rule->word != NULL; rule++) {
        assert_true(g_strv_contains(keep->words, rule->word));
        g_hash_table_add(words, (gpointer)rule->word);
    }
    assert_int_equal(g_strv_length((char **)keep->words), g_hash_table_size(words));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_schema_is_made_of_the_tables),
        cmocka_unit_test(every_key_is_described),
        cmocka_unit_test(every_kind_is_in_the_schema),
        cmocka_unit_test(seal_keeps_what_the_seal_removes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
