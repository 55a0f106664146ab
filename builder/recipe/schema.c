#include "recipe/schema.h"

#include <ingot/format.h>
#include <string.h>

#include "recipe/keys.h"
#include "yaml/yaml.h"

#define DRAFT "https://json-schema.org/draft/2020-12/schema"
#define OR_REFERENCE "|\\$\\{" /* ${name} may stand for a text of any pattern */

static void shape_define(json_t *definitions, const Shape *shape);
static void choice_define(json_t *definitions, const Choice *choice);

static json_t *schema_reference(const char *name)
{
    g_autofree char *path = g_strconcat("#/$defs/", name, NULL);
    return json_pack("{s:s}", "$ref", path);
}

static json_t *schema_text(const char *pattern)
{
    g_autofree char *wider = pattern == NULL ? NULL : g_strconcat(pattern, OR_REFERENCE, NULL);
    return pattern == NULL ? json_pack("{s:s, s:i}", "type", "string", "minLength", 1)
                           : json_pack("{s:s, s:s}", "type", "string", "pattern", wider);
}

static json_t *schema_or(json_t *one, json_t *other)
{
    return json_pack("{s:[o, o]}", "anyOf", one, other);
}

static json_t *schema_range(const Key *key)
{
    json_t *range = json_pack("{s:s, s:I}", "type", "integer", "minimum", (json_int_t)key->least);
    if (key->most > 0) {
        json_object_set_new(range, "maximum", json_integer(key->most));
    }
    return range;
}

static json_t *schema_words(const Key *key)
{
    json_t *words = json_array();
    for (guint i = 0; key->kind == KIND_WORD && key->words[i] != NULL; i++) {
        json_array_append_new(words, json_string(key->words[i]));
    }
    for (guint i = 0; key->kind == KIND_FORMAT && ingot_formats()[i] != NULL; i++) {
        json_array_append_new(words, json_string(ingot_formats()[i]->name));
    }
    return json_pack("{s:o}", "enum", words);
}

static json_t *schema_map(const Key *key, json_t *value)
{
    return json_pack("{s:s, s:{s:s}, s:o}", "type", "object", "propertyNames", "pattern", key->pattern,
                     "additionalProperties", value);
}

/* One value of a key, whatever else may be said of the key. */
static json_t *schema_value(json_t *definitions, const Key *key)
{
    json_t *value;
    switch (key->kind) {
    case KIND_SCALAR:
        return schema_reference("scalar");
    case KIND_DURATION:
        return schema_reference("duration");
    case KIND_MODE:
        return schema_reference("mode");
    case KIND_INTEGER:
        return schema_or(schema_range(key), schema_reference("reference"));
    case KIND_SIZE:
        return schema_or(schema_range(key), schema_text("^[0-9]+([KMGT](iB)?)?$"));
    case KIND_BOOLEAN:
        return schema_or(json_pack("{s:s}", "type", "boolean"), schema_reference("reference"));
    case KIND_WORD:
    case KIND_FORMAT:
        return schema_or(schema_words(key), schema_reference("reference"));
    case KIND_OBJECT:
        shape_define(definitions, key->shape);
        return schema_reference(key->shape->name);
    case KIND_CHOICE:
        choice_define(definitions, key->choice);
        return schema_reference(key->choice->name);
    case KIND_MAP:
        return schema_map(key, schema_reference("scalar"));
    case KIND_VARIABLES:
        shape_define(definitions, key->shape);
        return schema_map(key, schema_or(schema_reference("scalar"), schema_reference(key->shape->name)));
    case KIND_REGEX:
        value = schema_text(NULL);
        json_object_set_new(value, "format", json_string("regex"));
        return value;
    default:
        return schema_text(key->pattern);
    }
}

/* A default, which the tables have as YAML. */
static json_t *node_json(const YamlNode *node)
{
    if (node->kind == YAML_LIST) {
        json_t *list = json_array();
        for (guint i = 0; i < node->items->len; i++) {
            json_array_append_new(list, node_json(g_ptr_array_index(node->items, i)));
        }
        return list;
    }
    if (node->kind == YAML_MAP) {
        return json_object(); /* no default has more */
    }
    return node->type == SCALAR_INTEGER   ? json_integer(g_ascii_strtoll(node->text, NULL, 10))
           : node->type == SCALAR_BOOLEAN ? json_boolean(strcmp(node->text, "true") == 0)
                                          : json_string(node->text);
}

static json_t *schema_default(const Key *key)
{
    g_autoptr(Diagnostics) none = diagnostics_new();
    g_autoptr(YamlTree) tree = yaml_parse(key->fallback, strlen(key->fallback), key->name, none);
    return node_json(tree->root);
}

static json_t *schema_key(json_t *definitions, const Key *key)
{
    json_t *schema = json_object();
    g_autoptr(json_t) value = schema_value(definitions, key);
    if (key->help != NULL) {
        json_object_set_new(schema, "description", json_string(key->help));
    }
    if (key->list) {
        json_object_set_new(schema, "type", json_string("array"));
        json_object_set(schema, "items", value);
        if (key->most_items > 0) {
            json_object_set_new(schema, "maxItems", json_integer(key->most_items));
        }
    } else {
        json_object_update(schema, value);
    }
    if (key->fallback != NULL) {
        json_object_set_new(schema, "default", schema_default(key));
    }
    return schema;
}

static json_t *either_schema(const char *const *either)
{
    json_t *list = json_array();
    for (; *either != NULL; either++) {
        json_array_append_new(list, json_pack("{s:[s]}", "required", *either));
    }
    return list;
}

static void shape_define(json_t *definitions, const Shape *shape)
{
    if (json_object_get(definitions, shape->name) != NULL) {
        return;
    }
    json_t *schema =
        json_pack("{s:s, s:s, s:b}", "description", shape->help, "type", "object", "additionalProperties", FALSE);
    json_t *required = json_array(), *properties = json_object();
    json_object_set_new(definitions, shape->name, schema);
    for (const Key *key = shape->keys; key->name != NULL; key++) {
        json_object_set_new(properties, key->name, schema_key(definitions, key));
        if (key->required) {
            json_array_append_new(required, json_string(key->name));
        }
    }
    if (json_array_size(required) > 0) {
        json_object_set(schema, "required", required);
    }
    json_decref(required);
    json_object_set_new(schema, "properties", properties);
    if (shape->either != NULL) {
        json_object_set_new(schema, "oneOf", either_schema(shape->either));
    }
}

static void choice_define(json_t *definitions, const Choice *choice)
{
    if (json_object_get(definitions, choice->name) != NULL) {
        return;
    }
    json_t *variants = json_array();
    json_object_set_new(definitions, choice->name,
                        json_pack("{s:s, s:o}", "description", choice->help, "oneOf", variants));
    for (const Variant *const *variant = choice->variants; *variant != NULL; variant++) {
        json_array_append_new(variants, schema_reference((*variant)->shape->name));
        shape_define(definitions, (*variant)->shape);
    }
}

/* What all keys of a kind have in common. */
static json_t *leaves(void)
{
    return json_pack("{s:{s:s, s:s, s:s}, s:{s:[s, s, s]}, s:{s:[{s:s, s:i, s:i}, {s:s, s:s}]},"
                     " s:{s:[{s:s, s:i}, {s:s, s:s}]}}",
                     "reference", "description", "A variable's value, as ${name}.", "type", "string", "pattern",
                     "\\$\\{", "scalar", "type", "string", "number", "boolean", "duration", "anyOf", "type", "integer",
                     "minimum", 1, "maximum", 2592000, "type", "string", "pattern", "^[0-9]+[smhd]?$" OR_REFERENCE,
                     "mode", "anyOf", "type", "integer", "minimum", 0, "type", "string", "pattern",
                     "^[0-7]{3,4}$" OR_REFERENCE);
}

json_t *recipe_schema(void)
{
    json_t *definitions = leaves();
    shape_define(definitions, &recipe_shape);
    g_autofree char *top = g_strconcat("#/$defs/", recipe_shape.name, NULL);
    return json_pack("{s:s, s:s, s:s, s:o}", "$schema", DRAFT, "title", "Ingot recipe", "$ref", top, "$defs",
                     definitions);
}
