#include "pipeline/file.h"

#include <ingot/error.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

#define KEY_MAX (64u << 10)  /* bytes of a public key's file */
#define TEST_MAX (64u << 10) /* bytes of a required test's recipe */
#define ROOT_MAX (64u << 10) /* bytes of a trusted root */
#define BEGINS "-----BEGIN"

PipelineFile *pipeline_file_read(const char *path, GError **error)
{
    g_autoptr(PipelineFile) file = g_new0(PipelineFile, 1);
    g_autoptr(GError) problem = NULL;
    gsize size;
    file->path = g_strdup(path);
    file->diagnostics = diagnostics_new();
    if (!g_file_get_contents(path, &file->text, &size, &problem)) {
        g_set_error_literal(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, problem->message);
        return NULL;
    }
    if (size > YAML_MOST_BYTES) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: larger than 1 MiB", path);
        return NULL;
    }
    file->tree = yaml_parse(file->text, size, path, file->diagnostics);
    return diagnostics_raise(file->diagnostics, NULL, error) ? g_steal_pointer(&file) : NULL;
}

void pipeline_file_free(PipelineFile *file)
{
    if (file != NULL) {
        g_clear_pointer(&file->tree, yaml_tree_free);
        g_clear_pointer(&file->diagnostics, diagnostics_free);
        g_free(file->text);
        g_free(file->path);
        g_free(file);
    }
}

/* --- as JSON --- */

static json_t *scalar_value(const YamlNode *node)
{
    switch (node->type) {
    case SCALAR_NULL:
        return json_null();
    case SCALAR_BOOLEAN:
        return json_boolean(g_ascii_strcasecmp(node->text, "true") == 0);
    case SCALAR_INTEGER:
        return json_integer(g_ascii_strtoll(node->text, NULL, 0));
    case SCALAR_FLOAT:
        return json_real(g_ascii_strtod(node->text, NULL));
    default:
        return json_string(node->text);
    }
}

/* A key's text: of the file beside this one, or as it is. */
static json_t *key_value(PipelineFile *file, const YamlNode *node)
{
    g_autofree char *folder = g_path_get_dirname(file->path), *path = NULL, *text = NULL;
    g_autoptr(GError) problem = NULL;
    gsize size;
    if (node->kind != YAML_SCALAR || node->type != SCALAR_TEXT || g_str_has_prefix(node->text, BEGINS)) {
        return node->kind == YAML_SCALAR ? scalar_value(node) : json_null();
    }
    path = g_path_is_absolute(node->text) ? g_strdup(node->text) : g_build_filename(folder, node->text, NULL);
    if (!g_file_get_contents(path, &text, &size, &problem)) {
        diagnostics_add(file->diagnostics, &node->place, "%s", problem->message);
    } else if (size > KEY_MAX || !g_utf8_validate(text, (gssize)size, NULL) || strstr(text, "PRIVATE KEY") != NULL) {
        diagnostics_add(file->diagnostics, &node->place, "%s is not a public key in PEM", node->text);
    } else {
        return json_string(text);
    }
    return json_null();
}

/* Whether it is a recipe with tests; else the mistake is noted at the place that names the file. */
static gboolean is_test_recipe(PipelineFile *file, const YamlNode *node, const char *text, gsize size)
{
    g_autoptr(Diagnostics) within = diagnostics_new();
    g_autoptr(GError) problem = NULL;
    g_autoptr(YamlTree) tree = yaml_parse(text, size, node->text, within);
    if (!diagnostics_raise(within, NULL, &problem)) {
        diagnostics_add(file->diagnostics, &node->place, "%s", problem->message);
        return FALSE;
    }
    const YamlNode *tests = tree->root != NULL && tree->root->kind == YAML_MAP ? yaml_get(tree->root, "tests") : NULL;
    gboolean has = tests != NULL && tests->kind == YAML_LIST && tests->items->len > 0;
    if (!has) {
        diagnostics_add(file->diagnostics, &node->place, "%s has no tests", node->text);
    }
    return has;
}

/* A required test, {"name", "text"}: of the recipe beside this file. */
static json_t *test_value(PipelineFile *file, const YamlNode *node)
{
    g_autofree char *folder = g_path_get_dirname(file->path), *path = NULL, *text = NULL, *name = NULL;
    g_autoptr(GError) problem = NULL;
    gsize size;
    if (node->kind != YAML_SCALAR || node->type != SCALAR_TEXT) {
        diagnostics_add(file->diagnostics, &node->place, "the file of a recipe with tests is expected");
        return json_null();
    }
    path = g_path_is_absolute(node->text) ? g_strdup(node->text) : g_build_filename(folder, node->text, NULL);
    name = g_path_get_basename(path);
    if (!g_file_get_contents(path, &text, &size, &problem)) {
        diagnostics_add(file->diagnostics, &node->place, "%s", problem->message);
    } else if (size > TEST_MAX || !g_utf8_validate(text, (gssize)size, NULL)) {
        diagnostics_add(file->diagnostics, &node->place, "%s is not a recipe of at most %u KiB", node->text,
                        TEST_MAX >> 10);
    } else if (is_test_recipe(file, node, text, size)) {
        return ingot_json_pack("{s:o, s:s}", "name", ingot_json_text(name), "text", text);
    }
    return json_null();
}

/* A trusted root's text: of the file beside this one, or as it is. */
static json_t *root_value(PipelineFile *file, const YamlNode *node)
{
    g_autofree char *folder = g_path_get_dirname(file->path), *path = NULL, *text = NULL;
    g_autoptr(GError) problem = NULL;
    gsize size;
    if (node->type != SCALAR_TEXT || *node->text == '{') {
        return scalar_value(node);
    }
    path = g_path_is_absolute(node->text) ? g_strdup(node->text) : g_build_filename(folder, node->text, NULL);
    if (!g_file_get_contents(path, &text, &size, &problem)) {
        diagnostics_add(file->diagnostics, &node->place, "%s", problem->message);
    } else if (size > ROOT_MAX || !g_utf8_validate(text, (gssize)size, NULL)) {
        diagnostics_add(file->diagnostics, &node->place, "%s is not a trusted root of at most %u KiB", node->text,
                        ROOT_MAX >> 10);
    } else {
        return json_string(text);
    }
    return json_null();
}

/* What a list's texts stand for. */
typedef json_t *(*FileItem)(PipelineFile *file, const YamlNode *node);

/* NOLINTBEGIN(misc-no-recursion): as deep as the file is, which YAML_MOST_DEPTH bounds */
static json_t *node_value(PipelineFile *file, const YamlNode *node, const char *within)
{
    if (node->kind == YAML_SCALAR) {
        return scalar_value(node);
    }
    json_t *value = node->kind == YAML_LIST ? json_array() : json_object();
    guint step = node->kind == YAML_LIST ? 1 : 2;
    for (guint i = 0; i + step <= node->items->len; i += step) {
        const YamlNode *item = g_ptr_array_index(node->items, i);
        if (node->kind == YAML_LIST) {
            json_array_append_new(value, node_value(file, item, NULL));
            continue;
        }
        const YamlNode *held = g_ptr_array_index(node->items, i + 1);
        if (held->kind == YAML_SCALAR && strcmp(item->text, "trusted_root") == 0) {
            json_object_set_new(value, item->text, root_value(file, held));
            continue;
        }
        FileItem item_value = held->kind != YAML_LIST                                                 ? NULL
                              : strcmp(item->text, "keys") == 0                                       ? key_value
                              : g_strcmp0(within, "require") == 0 && strcmp(item->text, "tests") == 0 ? test_value
                                                                                                      : NULL;
        json_t *inner = item_value != NULL ? json_array() : node_value(file, held, item->text);
        for (guint k = 0; item_value != NULL && k < held->items->len; k++) {
            json_array_append_new(inner, item_value(file, g_ptr_array_index(held->items, k)));
        }
        json_object_set_new(value, item->text, inner);
    }
    return value;
}
/* NOLINTEND(misc-no-recursion) */

json_t *pipeline_file_json(PipelineFile *file, GError **error)
{
    const YamlNode *root = file->tree->root;
    if (root == NULL || root->kind != YAML_MAP) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: a map with `pipelines:` is expected", file->path);
        return NULL;
    }
    g_autoptr(json_t) value = node_value(file, root, NULL);
    return diagnostics_raise(file->diagnostics, NULL, error) ? g_steal_pointer(&value) : NULL;
}

/* --- places --- */

/* "~1" is a slash and "~0" a tilde (RFC 6901). Free it. */
static char *unescape(const char *token)
{
    g_autoptr(GString) text = g_string_new(token);
    g_string_replace(text, "~1", "/", 0);
    g_string_replace(text, "~0", "~", 0);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* The node's part of that name or number; NULL: it has none. */
static const YamlNode *find_part(const YamlNode *node, const char *token)
{
    if (node->kind == YAML_MAP) {
        return yaml_get(node, token);
    }
    char *end;
    guint64 number = g_ascii_strtoull(token, &end, 10);
    return node->kind == YAML_LIST && *token != '\0' && *end == '\0' && number < node->items->len
               ? g_ptr_array_index(node->items, number)
               : NULL;
}

void pipeline_file_mistake(PipelineFile *file, const char *pointer, const char *message)
{
    g_auto(GStrv) tokens = g_strsplit(pointer, "/", -1);
    const YamlNode *node = file->tree->root;
    for (guint i = 1; tokens[0] != NULL && tokens[i] != NULL; i++) {
        g_autofree char *token = unescape(tokens[i]);
        const YamlNode *part = find_part(node, token);
        if (part == NULL) {
            break;
        }
        node = part;
    }
    diagnostics_add(file->diagnostics, &node->place, "%s", message);
}
