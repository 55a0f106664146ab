#include "yaml/yamlnode.h"

#include <string.h>

void yaml_node_free(gpointer data)
{
    YamlNode *node = data;
    g_clear_pointer(&node->items, g_ptr_array_unref);
    g_free(node->text);
    g_free(node);
}

ScalarType yaml_plain_type(const char *text)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const booleans[] = {"true", "True", "TRUE", "false", "False", "FALSE", NULL};
    if (g_strv_contains(nulls, text)) {
        return SCALAR_NULL;
    }
    if (g_strv_contains(booleans, text)) {
        return SCALAR_BOOLEAN;
    }
    if (g_regex_match_simple("^([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", text, G_REGEX_DOLLAR_ENDONLY, 0)) {
        return SCALAR_INTEGER;
    }
    if (g_regex_match_simple("^([-+]?(\\.[0-9]+|[0-9]+(\\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\\.(inf|Inf|INF)|"
                             "\\.(nan|NaN|NAN))$",
                             text, G_REGEX_DOLLAR_ENDONLY, 0)) {
        return SCALAR_FLOAT;
    }
    return SCALAR_TEXT;
}

Place yaml_place_of_byte(const char *name, const char *text, gsize offset)
{
    Place place = {name, 1, 1};
    for (const char *at = text; at < text + offset; at++) {
        if (*at == '\n') {
            place.line++;
            place.column = 1;
        } else if (((guchar)*at & 0xc0) != 0x80) { /* not within a character */
            place.column++;
        }
    }
    return place;
}

const YamlNode *yaml_get(const YamlNode *map, const char *key)
{
    for (guint i = 0; map != NULL && map->kind == YAML_MAP && i + 1 < map->items->len; i += 2) {
        const YamlNode *one = g_ptr_array_index(map->items, i);
        if (strcmp(one->text, key) == 0) {
            return g_ptr_array_index(map->items, i + 1);
        }
    }
    return NULL;
}

Place yaml_place_of(const YamlNode *scalar_node, const char *part)
{
    const char *start = scalar_node->document + scalar_node->start;
    const char *found = g_strstr_len(start, (gssize)(scalar_node->end - scalar_node->start), part);
    return found == NULL ? scalar_node->place
                         : yaml_place_of_byte(scalar_node->place.file, scalar_node->document,
                                              (gsize)(found - scalar_node->document));
}

const char *yaml_noun(const YamlNode *node)
{
    static const char *const scalars[] = {"text", "nothing", "true or false", "a number", "a number"};
    return node->kind == YAML_LIST ? "a list" : node->kind == YAML_MAP ? "a map" : scalars[node->type];
}
