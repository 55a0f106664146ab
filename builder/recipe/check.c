#include "recipe/check.h"

#include <ingot/text.h>
#include <string.h>

#include "recipe/rules.h"

static void check_object(const Check *check, const Shape *shape, const YamlNode *map, gboolean secrets, json_t *out);

static gboolean expect_kind(const Check *check, const char *name, const YamlNode *node, YamlKind kind)
{
    if (node->kind == kind) {
        return TRUE;
    }
    diagnostics_add(check->diagnostics, &node->place, "'%s': expected %s, not %s", name,
                    kind == YAML_MAP ? "a map" : "a list", yaml_noun(node));
    return FALSE;
}

static void report_unknown(const Check *check, const YamlNode *key, const char *noun, GPtrArray *known)
{
    if (diagnostics_full(check->diagnostics)) {
        return;
    }
    g_ptr_array_add(known, NULL);
    g_autofree char *quoted = diagnostics_quote(key->text);
    g_autofree char *suggestion = ingot_text_suggestion(key->text, (const char *const *)known->pdata);
    diagnostics_add(check->diagnostics, &key->place, "unknown %s %s%s", noun, quoted, suggestion);
}

static const Key *find_key(const Shape *shape, const char *name)
{
    for (const Key *key = shape->keys; key->name != NULL; key++) {
        if (strcmp(key->name, name) == 0) {
            return key;
        }
    }
    return NULL;
}

static void report_unknown_key(const Check *check, const Shape *shape, const YamlNode *name)
{
    g_autoptr(GPtrArray) known = g_ptr_array_new();
    for (const Key *key = shape->keys; key->name != NULL; key++) {
        g_ptr_array_add(known, (gpointer)key->name);
    }
    report_unknown(check, name, "key", known);
}

/* A map of free keys; FALSE for a key that does not look like one. */
static gboolean check_free_key(const Check *check, const Key *key, const YamlNode *name)
{
    if (g_regex_match_simple(key->pattern, name->text, G_REGEX_DOLLAR_ENDONLY, 0)) {
        return TRUE;
    }
    g_autofree char *quoted = diagnostics_quote(name->text);
    diagnostics_add(check->diagnostics, &name->place, "'%s': %s is not %s", key->name, quoted, key->hint);
    return FALSE;
}

static json_t *map_value(const Check *check, const Key *key, const YamlNode *map, gboolean secrets)
{
    if (!expect_kind(check, key->name, map, YAML_MAP)) {
        return NULL;
    }
    json_t *values = json_object();
    for (guint i = 0; i < map->items->len; i += 2) {
        const YamlNode *name = g_ptr_array_index(map->items, i);
        const Key one = {.name = name->text, .kind = KIND_SCALAR};
        if (check_free_key(check, key, name)) {
            json_object_set_new(values, name->text,
                                value_of(check, &one, g_ptr_array_index(map->items, i + 1), secrets));
        }
    }
    return values;
}

static void report_no_kind(const Check *check, const Choice *choice, const YamlNode *map)
{
    g_autoptr(GPtrArray) kinds = g_ptr_array_new();
    g_autoptr(GString) list = g_string_new(NULL);
    for (const Variant *variant = choice->variants; variant->key != NULL; variant++) {
        g_ptr_array_add(kinds, (gpointer)variant->key);
        g_string_append_printf(list, "%s%s", list->len > 0 ? ", " : "", variant->key);
    }
    for (guint i = 0; i < map->items->len; i += 2) {
        const YamlNode *name = g_ptr_array_index(map->items, i);
        gboolean known = FALSE;
        for (const Variant *variant = choice->variants; variant->key != NULL && !known; variant++) {
            known = find_key(variant->shape, name->text) != NULL;
        }
        if (!known) {
            report_unknown(check, name, choice->name, kinds);
            return;
        }
    }
    diagnostics_add(check->diagnostics, &map->place, "a %s needs one of the keys %s", choice->name, list->str);
}

static json_t *choice_value(const Check *check, const Choice *choice, const YamlNode *map, gboolean secrets)
{
    const Variant *chosen = NULL;
    if (!expect_kind(check, choice->name, map, YAML_MAP)) {
        return NULL;
    }
    for (const Variant *variant = choice->variants; variant->key != NULL; variant++) {
        const YamlNode *value = yaml_get(map, variant->key);
        if (value != NULL && chosen != NULL) {
            diagnostics_add(check->diagnostics, &map->place, "a %s is one thing, not both '%s' and '%s'", choice->name,
                            chosen->key, variant->key);
            return NULL;
        }
        chosen = value != NULL ? variant : chosen;
    }
    if (chosen == NULL) {
        report_no_kind(check, choice, map);
        return NULL;
    }
    json_t *value = json_pack("{s:s}", "kind", chosen->kind);
    check_object(check, chosen->shape, map, secrets, value);
    return value;
}

static json_t *object_value(const Check *check, const Key *key, const YamlNode *node, gboolean secrets)
{
    if (!expect_kind(check, key->name, node, YAML_MAP)) {
        return NULL;
    }
    json_t *object = json_object();
    check_object(check, key->shape, node, secrets, object);
    return object;
}

static json_t *one_value(const Check *check, const Key *key, const YamlNode *node, gboolean secrets)
{
    switch (key->kind) {
    case KIND_OBJECT:
        return object_value(check, key, node, secrets);
    case KIND_CHOICE:
        return choice_value(check, key->choice, node, secrets);
    case KIND_MAP:
        return map_value(check, key, node, secrets);
    case KIND_VARIABLES:
        return variables_public(check->variables);
    default:
        return value_of(check, key, node, secrets);
    }
}

static json_t *key_value(const Check *check, const Key *key, const YamlNode *node, gboolean secrets)
{
    secrets = secrets || key->secrets;
    if (!key->list) {
        return one_value(check, key, node, secrets);
    }
    if (!expect_kind(check, key->name, node, YAML_LIST)) {
        return NULL;
    }
    json_t *list = json_array();
    for (guint i = 0; i < node->items->len; i++) {
        json_array_append_new(list, one_value(check, key, g_ptr_array_index(node->items, i), secrets));
    }
    return list;
}

static void put(const Key *key, json_t *value, json_t *out)
{
    if (key->spread) {
        g_autoptr(json_t) owned = value;
        json_object_update(out, owned);
    } else if (value != NULL) {
        json_object_set_new(out, key->as != NULL ? key->as : key->name, value);
    }
}

/* Defaults are written in the recipe's own language and take the same way. */
static json_t *fallback_value(const Check *check, const Key *key)
{
    g_autoptr(YamlTree) tree = yaml_parse(key->fallback, strlen(key->fallback), key->name, check->diagnostics);
    return key_value(check, key, tree->root, FALSE);
}

static void put_missing(const Check *check, const Key *key, const YamlNode *map, json_t *out)
{
    if (key->required) {
        diagnostics_add(check->diagnostics, &map->place, "the key '%s' is missing", key->name);
    } else if (key->fallback != NULL) {
        put(key, fallback_value(check, key), out);
    }
}

static void check_object(const Check *check, const Shape *shape, const YamlNode *map, gboolean secrets, json_t *out)
{
    for (guint i = 0; i < map->items->len; i += 2) {
        const YamlNode *name = g_ptr_array_index(map->items, i);
        const Key *key = find_key(shape, name->text);
        if (key == NULL) {
            report_unknown_key(check, shape, name);
        } else {
            put(key, key_value(check, key, g_ptr_array_index(map->items, i + 1), secrets), out);
        }
    }
    for (const Key *key = shape->keys; key->name != NULL; key++) {
        if (yaml_get(map, key->name) == NULL) {
            put_missing(check, key, map, out);
        }
    }
    if (shape->rule != NULL) {
        shape->rule(check, map, out);
    }
}

static void declare(const Check *check, const Key *key, const YamlNode *name, const YamlNode *node)
{
    static const Key plain = {.name = "default", .kind = KIND_SCALAR};
    g_autoptr(json_t) declaration = NULL;
    if (node->kind == YAML_MAP) {
        declaration = object_value(check, key, node, FALSE);
    } else {
        declaration = json_object();
        json_object_set_new(declaration, "default", value_of(check, &plain, node, FALSE));
    }
    if (variables_is_builtin(name->text)) {
        diagnostics_add(check->diagnostics, &name->place, "'%s' is built in: take another name", name->text);
    } else if (!variables_declare(check->variables, name->text,
                                  json_string_value(json_object_get(declaration, "default")),
                                  json_is_true(json_object_get(declaration, "required")),
                                  json_is_true(json_object_get(declaration, "secret")))) {
        diagnostics_add(check->diagnostics, &name->place,
                        "the variable '%s' is required: set it by --var %s=VALUE, in a --var-file or by INGOT_VAR_%s",
                        name->text, name->text, name->text);
    }
}

/* Quietly: what is wrong with it will be told by the walk. */
static void set_builtin(const Check *check, const char *builtin, const YamlNode *node)
{
    g_autoptr(Diagnostics) unheard = diagnostics_new();
    g_autofree char *value =
        node != NULL && node->kind == YAML_SCALAR ? variables_expand(check->variables, node, 0, unheard) : NULL;
    if (value != NULL) {
        variables_set_builtin(check->variables, builtin, value);
    }
}

void check_variables(const Check *check, const YamlNode *root)
{
    const Key *key = find_key(&recipe_shape, "variables");
    const YamlNode *map = yaml_get(root, key->name);
    if (map != NULL && expect_kind(check, key->name, map, YAML_MAP)) {
        for (guint i = 0; i < map->items->len; i += 2) {
            const YamlNode *name = g_ptr_array_index(map->items, i);
            if (check_free_key(check, key, name)) {
                declare(check, key, name, g_ptr_array_index(map->items, i + 1));
            }
        }
    }
    variables_check_given(check->variables, check->diagnostics);
    set_builtin(check, "recipe.name", yaml_get(root, "name"));
    set_builtin(check, "version", yaml_get(root, "version"));
}

json_t *check_tree(const Check *check, const YamlNode *root)
{
    json_t *tree = json_object();
    if (root->kind == YAML_MAP) {
        check_object(check, &recipe_shape, root, FALSE, tree);
    } else {
        diagnostics_add(check->diagnostics, &root->place, "a recipe is a map of keys like 'name', not %s",
                        yaml_noun(root));
    }
    return tree;
}
