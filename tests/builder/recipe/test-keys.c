/* recipes/recipe.schema.json and the tables of keys.c say the same: walked together, both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <ingot/format.h>

#include "recipe/keys.h"
#include "seal/rules.h"

#define ANY_REFERENCE "|\\$\\{" /* how the schema lets ${name} stand in for a text of some pattern */

typedef struct {
    json_t *schema;
    json_t *definitions;
    GHashTable *seen; /* names of the definitions that a table stands for */
} Walk;

static void compare_shape(Walk *walk, const Shape *shape);
static void compare_choice(Walk *walk, const Choice *choice);

static json_t *get(const json_t *object, const char *key, const char *where)
{
    json_t *value = json_object_get(object, key);
    if (value == NULL) {
        fail_msg("the schema has no '%s' at %s", key, where);
    }
    return value;
}

static void assert_json(const json_t *value, const char *expected, const char *where)
{
    g_autoptr(json_t) wanted = json_loads(expected, JSON_DECODE_ANY, NULL);
    assert_non_null(wanted);
    if (!json_equal(value, wanted)) {
        g_autofree char *text = value != NULL ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
        fail_msg("the schema has %s at %s, the table %s", text != NULL ? text : "nothing", where, expected);
    }
}

static void assert_reference(const json_t *value, const char *definition, const char *where)
{
    g_autofree char *wanted = g_strdup_printf("\"#/$defs/%s\"", definition);
    assert_json(json_object_get(value, "$ref"), wanted, where);
}

static void assert_text(const json_t *value, const char *expected, const char *where)
{
    if (g_strcmp0(json_string_value(value), expected) != 0) {
        fail_msg("the schema has '%s' at %s, the table '%s'", json_string_value(value), where, expected);
    }
}

/* anyOf: the value itself, or a text with ${name} in it. */
static json_t *without_reference(const json_t *value, const char *where)
{
    json_t *either = get(value, "anyOf", where);
    assert_int_equal(json_array_size(either), 2);
    return json_array_get(either, 0);
}

static void compare_string(const json_t *value, const Key *key, const char *where)
{
    assert_text(get(value, "type", where), "string", where);
    if (key->pattern == NULL) {
        assert_json(get(value, "minLength", where), "1", where);
        return;
    }
    g_autofree char *pattern = g_strconcat(key->pattern, ANY_REFERENCE, NULL);
    assert_text(get(value, "pattern", where), pattern, where);
}

static void compare_range(const json_t *value, const Key *key, const char *where)
{
    assert_text(get(value, "type", where), "integer", where);
    assert_int_equal(json_integer_value(get(value, "minimum", where)), key->least);
    assert_int_equal(json_integer_value(json_object_get(value, "maximum")), key->most);
}

static void compare_words(const json_t *value, const Key *key, const char *where)
{
    const json_t *words = get(value, "enum", where);
    assert_int_equal(json_array_size(words), g_strv_length((char **)key->words));
    for (size_t i = 0; i < json_array_size(words); i++) {
        assert_text(json_array_get(words, i), key->words[i], where);
    }
}

static void compare_formats(const json_t *value, const char *where)
{
    const json_t *words = get(value, "enum", where);
    size_t count = 0;
    for (const IngotFormat *const *format = ingot_formats(); *format != NULL; format++, count++) {
        assert_text(json_array_get(words, count), (*format)->name, where);
    }
    assert_int_equal(json_array_size(words), count);
}

static void compare_map(const json_t *value, const Key *key, const char *where)
{
    assert_text(get(value, "type", where), "object", where);
    assert_text(get(get(value, "propertyNames", where), "pattern", where), key->pattern, where);
}

static void compare_value(Walk *walk, const json_t *value, const Key *key, const char *where)
{
    switch (key->kind) {
    case KIND_STRING:
    case KIND_SCRIPT:
    case KIND_REGEX:
    case KIND_HOST_PATH:
        compare_string(value, key, where);
        break;
    case KIND_SCALAR:
        assert_reference(value, "scalar", where);
        break;
    case KIND_INTEGER:
    case KIND_SIZE:
        compare_range(without_reference(value, where), key, where);
        break;
    case KIND_BOOLEAN:
        assert_text(get(without_reference(value, where), "type", where), "boolean", where);
        break;
    case KIND_DURATION:
        assert_reference(value, "duration", where);
        break;
    case KIND_MODE:
        assert_reference(value, "mode", where);
        break;
    case KIND_WORD:
        compare_words(without_reference(value, where), key, where);
        break;
    case KIND_FORMAT:
        compare_formats(without_reference(value, where), where);
        break;
    case KIND_OBJECT:
        assert_reference(value, key->shape->name, where);
        compare_shape(walk, key->shape);
        break;
    case KIND_CHOICE:
        assert_reference(value, key->choice->name, where);
        compare_choice(walk, key->choice);
        break;
    case KIND_MAP:
        compare_map(value, key, where);
        assert_reference(get(value, "additionalProperties", where), "scalar", where);
        break;
    case KIND_VARIABLES:
        compare_map(value, key, where);
        assert_reference(json_array_get(get(get(value, "additionalProperties", where), "anyOf", where), 1),
                         key->shape->name, where);
        compare_shape(walk, key->shape);
        break;
    }
}

static void compare_default(const json_t *value, const Key *key, const char *where)
{
    const json_t *given = json_object_get(value, "default");
    if (key->fallback == NULL) {
        assert_null(given);
    } else if (json_is_string(given)) {
        assert_text(given, key->fallback, where);
    } else if (key->list && key->kind == KIND_STRING && json_array_size(given) > 0) {
        g_autofree char *list = g_strdup_printf("[%s]", json_string_value(json_array_get(given, 0)));
        assert_string_equal(list, key->fallback);
    } else {
        assert_json(given, key->fallback, where);
    }
}

static void compare_key(Walk *walk, const json_t *value, const Key *key, const char *where)
{
    compare_default(value, key, where);
    if (key->list) {
        assert_text(get(value, "type", where), "array", where);
        value = get(value, "items", where);
    }
    compare_value(walk, value, key, where);
}

static gboolean schema_requires(const json_t *definition, const char *name)
{
    const json_t *required = json_object_get(definition, "required");
    for (size_t i = 0; i < json_array_size(required); i++) {
        if (g_str_equal(json_string_value(json_array_get(required, i)), name)) {
            return TRUE;
        }
    }
    return FALSE;
}

static void compare_shape(Walk *walk, const Shape *shape)
{
    const json_t *definition = get(walk->definitions, shape->name, "$defs");
    const json_t *properties = get(definition, "properties", shape->name);
    size_t keys = 0;
    g_hash_table_add(walk->seen, (gpointer)shape->name);
    assert_json(get(definition, "additionalProperties", shape->name), "false", shape->name);
    for (const Key *key = shape->keys; key->name != NULL; key++, keys++) {
        g_autofree char *where = g_strdup_printf("%s.%s", shape->name, key->name);
        compare_key(walk, get(properties, key->name, shape->name), key, where);
        if (schema_requires(definition, key->name) != key->required) {
            fail_msg("%s is required in one of schema and table only", where);
        }
    }
    if (json_object_size(properties) != keys) {
        fail_msg("%s has %zu keys in the schema, %zu in the table", shape->name, json_object_size(properties), keys);
    }
}

static void compare_choice(Walk *walk, const Choice *choice)
{
    const json_t *either = get(get(walk->definitions, choice->name, "$defs"), "oneOf", choice->name);
    size_t variants = 0;
    g_hash_table_add(walk->seen, (gpointer)choice->name);
    for (const Variant *variant = choice->variants; variant->key != NULL; variant++, variants++) {
        assert_reference(json_array_get(either, variants), variant->shape->name, choice->name);
        compare_shape(walk, variant->shape);
    }
    assert_int_equal(json_array_size(either), variants);
}

static int load(void **state)
{
    Walk *walk = g_new0(Walk, 1);
    g_autofree char *folder = g_path_get_dirname(__FILE__);
    g_autofree char *path = g_build_filename(folder, "../../../recipes/recipe.schema.json", NULL);
    walk->schema = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    walk->definitions = json_object_get(walk->schema, "$defs");
    walk->seen = g_hash_table_new(g_str_hash, g_str_equal);
    *state = walk;
    return walk->definitions == NULL;
}

static int unload(void **state)
{
    Walk *walk = *state;
    g_hash_table_unref(walk->seen);
    json_decref(walk->schema);
    g_free(walk);
    return 0;
}

static void schema_has_the_tables_keys(void **state)
{
    Walk *walk = *state;
    assert_reference(walk->schema, recipe_shape.name, "the top");
    compare_shape(walk, &recipe_shape);
}

static void tables_have_the_schemas_definitions(void **state)
{
    Walk *walk = *state;
    static const char *const leaves[] = {"reference", "scalar", "duration", "mode", NULL};
    const char *name;
    json_t *definition;
    compare_shape(walk, &recipe_shape);
    json_object_foreach(walk->definitions, name, definition)
    {
        if (!g_hash_table_contains(walk->seen, name) && !g_strv_contains(leaves, name)) {
            fail_msg("the schema defines '%s', which no table has", name);
        }
    }
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
    guint rules = 0;
    for (; seal_rules[rules].name != NULL; rules++) {
        assert_true(g_strv_contains(keep->words, seal_rules[rules].name));
    }
    assert_int_equal(g_strv_length((char **)keep->words), rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(schema_has_the_tables_keys, load, unload),
        cmocka_unit_test_setup_teardown(tables_have_the_schemas_definitions, load, unload),
        cmocka_unit_test(seal_keeps_what_the_seal_removes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
