#include "recipe/check.h"

#include <string.h>

#include "base/process.h"
#include "base/text.h"
#include "recipe/rules.h"

/* What is in a value of another kind is looked at all the same. */
static gboolean expect_kind(const Check *check, const char *name, const YamlNode *node, YamlKind kind)
{
    if (node->kind == kind || node->wrong) {
        return node->kind == kind;
    }
    if (!node->cut) {
        diagnostics_add(check->diagnostics, &node->place, "'%s': expected %s, not %s", name,
                        kind == YAML_MAP ? "a map" : "a list", yaml_noun(node));
    }
    value_check_loosely(check, node);
    return FALSE;
}

static const Key *shape_key(const Shape *shape, const char *name)
{
    for (const Key *key = shape->keys; key->name != NULL; key++) {
        if (strcmp(key->name, name) == 0) {
            return key;
        }
    }
    return NULL;
}

/* --- the shapes that a map may have: one, or, where it is not clear what it is, several --- */

static const Key *shapes_key(const GPtrArray *shapes, const char *name)
{
    const Key *key = NULL;
    for (guint i = 0; i < shapes->len && key == NULL; i++) {
        key = shape_key(g_ptr_array_index(shapes, i), name);
    }
    return key;
}

/* Reports a word that is none of `known`; returns the one that it was probably meant to be, or NULL. */
static const char *report_unknown(const Check *check, const YamlNode *word, const char *noun, GPtrArray *known)
{
    g_ptr_array_add(known, NULL);
    const char *const *words = (const char *const *)known->pdata;
    if (strcmp(word->text, "<<") == 0) {
        diagnostics_add(check->diagnostics, &word->place,
                        "merge keys ('<<') are not used in recipes: write out what they would bring, or take an alias "
                        "(*name) for a whole value");
        return NULL;
    }
    if (!diagnostics_full(check->diagnostics)) {
        g_autofree char *quoted = diagnostics_quote(word->text);
        g_autofree char *suggestion = ingot_text_suggestion(word->text, words);
        diagnostics_add(check->diagnostics, &word->place, "unknown %s %s%s", noun, quoted, suggestion);
    }
    return ingot_text_nearest(word->text, words);
}

static const Key *report_unknown_key(const Check *check, const GPtrArray *shapes, const YamlNode *name)
{
    g_autoptr(GPtrArray) known = g_ptr_array_new();
    for (guint i = 0; i < shapes->len; i++) {
        const Shape *shape = g_ptr_array_index(shapes, i);
        for (const Key *key = shape->keys; key->name != NULL; key++) {
            g_ptr_array_add(known, (gpointer)key->name);
        }
    }
    const char *meant = report_unknown(check, name, "key", known);
    return meant != NULL ? shapes_key(shapes, meant) : NULL;
}

static json_t *key_value(const Check *check, const Key *key, const YamlNode *node, gboolean secrets);

static void put(const Key *key, json_t *value, json_t *out)
{
    if (key->spread) {
        g_autoptr(json_t) owned = value;
        json_object_update(out, owned);
    } else if (value != NULL) {
        json_object_set_new(out, key->as != NULL ? key->as : key->name, value);
    }
}

/* The value under a key that has been reported: as that of the key that was probably meant, unless that is there too.
 */
static void check_meant(const Check *check, const Key *meant, const YamlNode *map, const YamlNode *value,
                        gboolean secrets)
{
    if (meant == NULL || yaml_get(map, meant->name) != NULL) {
        value_check_loosely(check, value);
    } else {
        json_decref(key_value(check, meant, value, secrets));
    }
}

/* Whether the key is one of the recipe's that its tests do not need. */
static gboolean is_beside_tests(const Check *check, const YamlNode *map, const YamlNode *name)
{
    static const char *const needed[] = {"name", "variables", "machine", "session", "tests", NULL};
    return check->tests_of == map && !g_strv_contains(needed, name->text);
}

/* All values of a map into out. meant (of const Key *) gets the keys that misspelled ones were probably meant to be. */
static void check_values(const Check *check, const GPtrArray *shapes, const YamlNode *map, gboolean secrets,
                         json_t *out, GPtrArray *meant)
{
    for (guint i = 0; i < map->items->len; i += 2) {
        const YamlNode *name = g_ptr_array_index(map->items, i), *value = g_ptr_array_index(map->items, i + 1);
        const Key *key = shapes_key(shapes, name->text);
        if (is_beside_tests(check, map, name)) {
            continue;
        }
        if (name->wrong) {
            value_check_loosely(check, value);
        } else if (key == NULL) {
            key = report_unknown_key(check, shapes, name);
            check_meant(check, key, map, value, secrets);
            g_ptr_array_add(meant, (gpointer)key);
        } else {
            put(key, key_value(check, key, value, secrets), out);
        }
    }
}

/* Defaults are written in the recipe's own language and are checked by the same code. */
static json_t *fallback_value(const Check *check, const Key *key)
{
    g_autoptr(YamlTree) tree = yaml_parse(key->fallback, strlen(key->fallback), key->name, check->diagnostics);
    return key_value(check, key, tree->root, FALSE);
}

static void put_missing(const Check *check, const Key *key, const YamlNode *map, json_t *out)
{
    if (check->tests_of == map && strcmp(key->name, "source") == 0) {
        return; /* its tests run on another one's image */
    }
    if (key->required && !map->cut) {
        diagnostics_add(check->diagnostics, &map->place, "the key '%s' is missing", key->name);
    } else if (key->fallback != NULL) {
        put(key, fallback_value(check, key), out);
    }
}

static void check_either(const Check *check, const Shape *shape, const YamlNode *map)
{
    guint given = 0;
    for (guint i = 0; shape->either != NULL && shape->either[i] != NULL; i++) {
        given += yaml_get(map, shape->either[i]) != NULL;
    }
    if (shape->either != NULL && given != 1 && !map->cut) {
        g_autofree char *list = g_strjoinv("', '", (char **)shape->either);
        diagnostics_add(check->diagnostics, &map->place, "'%s': exactly one of '%s' is needed", shape->name, list);
    }
}

static void check_object(const Check *check, const Shape *shape, const YamlNode *map, gboolean secrets, json_t *out)
{
    g_autoptr(GPtrArray) shapes = g_ptr_array_new(), meant = g_ptr_array_new();
    g_ptr_array_add(shapes, (gpointer)shape);
    check_values(check, shapes, map, secrets, out, meant);
    for (const Key *key = shape->keys; key->name != NULL; key++) {
        if (yaml_get(map, key->name) == NULL && !g_ptr_array_find(meant, key, NULL)) {
            put_missing(check, key, map, out);
        }
    }
    check_either(check, shape, map);
    if (shape->rule != NULL && !map->cut) {
        shape->rule(check, map, out);
    }
}

/* --- kinds of values --- */

/* Whether a key of a map of free keys looks like one. */
static gboolean check_free_key(const Check *check, const Key *key, const YamlNode *name)
{
    if (name->wrong || g_regex_match_simple(key->pattern, name->text, G_REGEX_DOLLAR_ENDONLY, 0)) {
        return !name->wrong;
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
        g_autoptr(json_t) value = value_of(check, &one, g_ptr_array_index(map->items, i + 1), secrets);
        if (check_free_key(check, key, name)) {
            json_object_set(values, name->text, value);
        }
    }
    return values;
}

/* --- choices --- */

static void report_no_kind(const Check *check, const Choice *choice, const YamlNode *map)
{
    g_autoptr(GString) list = g_string_new(NULL);
    for (const Variant *const *variant = choice->variants; *variant != NULL; variant++) {
        g_string_append_printf(list, "%s%s", list->len > 0 ? ", " : "", (*variant)->key);
    }
    if (!map->cut) {
        diagnostics_add(check->diagnostics, &map->place, "a %s needs one of the keys %s", choice->name, list->str);
    }
}

/* Reports the first key that no variant has: it must have been meant to say the kind. NULL: there is none. */
static const YamlNode *report_unknown_kind(const Check *check, const Choice *choice, const YamlNode *map,
                                           const char **meant)
{
    g_autoptr(GPtrArray) shapes = g_ptr_array_new(), kinds = g_ptr_array_new();
    for (const Variant *const *variant = choice->variants; *variant != NULL; variant++) {
        g_ptr_array_add(shapes, (gpointer)(*variant)->shape);
        g_ptr_array_add(kinds, (gpointer)(*variant)->key);
    }
    for (guint i = 0; i < map->items->len; i += 2) {
        const YamlNode *name = g_ptr_array_index(map->items, i);
        if (!name->wrong && shapes_key(shapes, name->text) == NULL) {
            *meant = report_unknown(check, name, choice->name, kinds);
            return name;
        }
    }
    return NULL;
}

/* The shapes that a map of an unclear kind may have: that of `kind`, or all where it is NULL. */
static GPtrArray *choice_shapes(const Choice *choice, const char *kind)
{
    GPtrArray *shapes = g_ptr_array_new();
    for (const Variant *const *variant = choice->variants; *variant != NULL; variant++) {
        if (kind == NULL || strcmp((*variant)->key, kind) == 0) {
            g_ptr_array_add(shapes, (gpointer)(*variant)->shape);
        }
    }
    return shapes;
}

/* The values of a map of no kind, whose mistakes hide behind that one. */
static void check_no_kind(const Check *check, const Choice *choice, const YamlNode *map, gboolean secrets)
{
    const char *kind = NULL;
    const YamlNode *reported = report_unknown_kind(check, choice, map, &kind);
    g_autoptr(GPtrArray) shapes = choice_shapes(choice, kind), meant = g_ptr_array_new();
    g_autoptr(GPtrArray) items = g_ptr_array_new();
    YamlNode rest = *map;
    rest.items = items;
    for (guint i = 0; i < map->items->len; i += 2) {
        if (g_ptr_array_index(map->items, i) != reported) {
            g_ptr_array_add(items, g_ptr_array_index(map->items, i));
            g_ptr_array_add(items, g_ptr_array_index(map->items, i + 1));
        } else {
            check_meant(check, kind == NULL ? NULL : shapes_key(shapes, kind), map,
                        g_ptr_array_index(map->items, i + 1), secrets);
        }
    }
    if (reported == NULL) {
        report_no_kind(check, choice, map);
    }
    g_autoptr(json_t) unused = json_object();
    check_values(check, shapes, &rest, secrets, unused, meant);
}

/* The same of a map of several kinds. */
static void check_several_kinds(const Check *check, const Choice *choice, const GPtrArray *chosen, const YamlNode *map,
                                gboolean secrets)
{
    const Variant *first = g_ptr_array_index(chosen, 0), *second = g_ptr_array_index(chosen, 1);
    g_autoptr(GPtrArray) shapes = g_ptr_array_new(), meant = g_ptr_array_new();
    diagnostics_add(check->diagnostics, &map->place, "a %s is one thing, not both '%s' and '%s'", choice->name,
                    first->key, second->key);
    for (guint i = 0; i < chosen->len; i++) {
        g_ptr_array_add(shapes, (gpointer)((const Variant *)g_ptr_array_index(chosen, i))->shape);
    }
    g_autoptr(json_t) unused = json_object();
    check_values(check, shapes, map, secrets, unused, meant);
}

static json_t *choice_value(const Check *check, const Choice *choice, const YamlNode *map, gboolean secrets)
{
    g_autoptr(GPtrArray) chosen = g_ptr_array_new();
    if (!expect_kind(check, choice->name, map, YAML_MAP)) {
        return NULL;
    }
    for (const Variant *const *variant = choice->variants; *variant != NULL; variant++) {
        if (yaml_get(map, (*variant)->key) != NULL) {
            g_ptr_array_add(chosen, (gpointer)*variant);
        }
    }
    if (chosen->len == 0) {
        check_no_kind(check, choice, map, secrets);
        return NULL;
    }
    if (chosen->len > 1) {
        check_several_kinds(check, choice, chosen, map, secrets);
        return NULL;
    }
    const Variant *variant = g_ptr_array_index(chosen, 0);
    json_t *value = json_pack("{s:s}", "kind", variant->kind);
    check_object(check, variant->shape, map, secrets, value);
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
    if (node->kind == YAML_MAP && (key->kind == KIND_CHOICE || key->kind == KIND_OBJECT)) {
        diagnostics_add(check->diagnostics, &node->place, "'%s': expected a list, not a map", key->name);
        json_decref(one_value(check, key, node, secrets)); /* its one item, most likely */
        return NULL;
    }
    if (!expect_kind(check, key->name, node, YAML_LIST)) {
        return NULL;
    }
    if (key->most_items > 0 && node->items->len > key->most_items) {
        diagnostics_add(check->diagnostics, &node->place, "'%s': %u of them; at most %u are possible", key->name,
                        node->items->len, key->most_items);
    }
    json_t *list = json_array();
    for (guint i = 0; i < node->items->len && ingot_interrupt_check(NULL); i++) {
        json_array_append_new(list, one_value(check, key, g_ptr_array_index(node->items, i), secrets));
    }
    return list;
}

/* --- variables --- */

static void declare(const Check *check, const Key *key, const YamlNode *name, const YamlNode *node)
{
    static const Key plain = {.name = "default", .kind = KIND_SCALAR};
    g_autoptr(json_t) declaration = NULL;
    gboolean named = check_free_key(check, key, name);
    variables_watch(check->variables);
    if (node->kind == YAML_MAP) {
        declaration = object_value(check, key, node, FALSE);
    } else {
        declaration = json_object();
        json_object_set_new(declaration, "default", value_of(check, &plain, node, FALSE));
    }
    gboolean secret = json_is_true(json_object_get(declaration, "secret"));
    if (secret) {
        variables_hide(check->variables, yaml_get(node, "default"));
    }
    if (!named) {
        return;
    }
    const YamlNode *given = node->kind == YAML_MAP ? yaml_get(node, "default") : node;
    gboolean broken = given != NULL && json_object_get(declaration, "default") == NULL;
    if (variables_is_builtin(name->text)) {
        diagnostics_add(check->diagnostics, &name->place, "'%s' is built in: take another name", name->text);
    } else if (!variables_declare(check->variables, name->text,
                                  json_string_value(json_object_get(declaration, "default")),
                                  json_is_true(json_object_get(declaration, "required")), secret)) {
        diagnostics_add(check->diagnostics, &name->place,
                        "the variable '%s' is required: set it by --var %s=VALUE, in a --var-file%s%s", name->text,
                        name->text, check->within == NULL ? " or by INGOT_VAR_" : " (the environment does not count)",
                        check->within == NULL ? name->text : "");
    }
    if (broken) {
        variables_break(check->variables, name->text);
    }
}

/* Quietly: the walk reports what is wrong with it. */
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
    const Key *key = shape_key(&recipe_shape, "variables");
    const YamlNode *map = yaml_get(root, key->name);
    /* Of a recipe's tests alone, nothing is wrong with a default that does not count. */
    g_autoptr(Diagnostics) unheard = diagnostics_new();
    Check declaring = *check;
    declaring.diagnostics = check->tests_of != NULL && !check->defaults_count ? unheard : check->diagnostics;
    if (map != NULL && expect_kind(check, key->name, map, YAML_MAP)) {
        for (guint i = 0; i < map->items->len; i += 2) {
            declare(&declaring, key, g_ptr_array_index(map->items, i), g_ptr_array_index(map->items, i + 1));
        }
    }
    if (root->cut && (map == NULL || map->cut)) {
        variables_set_incomplete(check->variables);
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
