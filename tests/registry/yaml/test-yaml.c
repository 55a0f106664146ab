/* YAML to nodes: places, types, and the limits that hold hostile text off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "yaml/yaml.h"

static YamlTree *parse(const char *text, gsize size, char **mistakes)
{
    g_autoptr(Diagnostics) diagnostics = diagnostics_new();
    g_autoptr(GError) error = NULL;
    YamlTree *tree = yaml_parse(text, size, "f", diagnostics);
    diagnostics_raise(diagnostics, NULL, &error);
    *mistakes = error != NULL ? g_strdup(error->message) : NULL;
    return tree;
}

/* The text is refused, with a message that holds `expected`. */
static void refused_bytes(const char *text, gsize size, const char *expected)
{
    g_autofree char *mistakes = NULL;
    g_autoptr(YamlTree) tree = parse(text, size, &mistakes);
    assert_non_null(mistakes);
    if (strstr(mistakes, expected) == NULL) {
        fail_msg("'%s' is not in '%s'", expected, mistakes);
    }
}

static void refused(const char *text, const char *expected)
{
    refused_bytes(text, strlen(text), expected);
}

static void has_place(const YamlNode *node, guint line, guint column)
{
    assert_int_equal(node->place.line, line);
    assert_int_equal(node->place.column, column);
}

static void gives_nodes_with_places(void **state)
{
    (void)state;
    const char *text = "a: 1\nb:\n  - x\n  - 'y ${z}'\nc: {d: true, e: \"1\"}\nf: |\n  one\n  ${two}\ng:\n";
    g_autofree char *mistakes = NULL;
    g_autoptr(YamlTree) tree = parse(text, strlen(text), &mistakes);
    assert_null(mistakes);
    const YamlNode *list = yaml_get(tree->root, "b");
    assert_int_equal(yaml_get(tree->root, "a")->type, SCALAR_INTEGER);
    has_place(yaml_get(tree->root, "a"), 1, 4);
    has_place(g_ptr_array_index(list->items, 1), 4, 5);
    assert_int_equal(yaml_place_of(g_ptr_array_index(list->items, 1), "${z}").column, 8);
    const YamlNode *map = yaml_get(tree->root, "c");
    assert_int_equal(yaml_get(map, "d")->type, SCALAR_BOOLEAN);
    assert_int_equal(yaml_get(map, "e")->type, SCALAR_TEXT);
    Place place = yaml_place_of(yaml_get(tree->root, "f"), "${two}");
    assert_int_equal(place.line, 8);
    assert_int_equal(place.column, 3);
    assert_string_equal(yaml_get(tree->root, "f")->text, "one\n${two}\n");
    has_place(yaml_get(tree->root, "g"), 9, 1);
    assert_int_equal(yaml_get(tree->root, "g")->type, SCALAR_NULL);
    assert_null(yaml_get(tree->root, "h"));
}

/* The text of the only value of a list. */
static void is_text(const char *scalar, const char *expected)
{
    g_autofree char *mistakes = NULL;
    g_autofree char *text = g_strdup_printf("- %s\n", scalar);
    g_autoptr(YamlTree) tree = parse(text, strlen(text), &mistakes);
    if (mistakes != NULL) {
        fail_msg("%s: %s", scalar, mistakes);
    }
    const YamlNode *node = g_ptr_array_index(tree->root->items, 0);
    assert_string_equal(node->text, expected);
}

static void unquotes(void **state)
{
    (void)state;
    is_text("''", "");
    is_text("'it''s'", "it's");
    is_text("'a''''b'", "a''b");
    is_text("''''''''", "'''");
    is_text("'  a  \n  b \n\n  \tc  '", "  a b\nc  ");
    is_text("\"\"", "");
    is_text("\"a\\\\\\\n  b\"", "a\\b");
    is_text("\"a \\\n\n  b\"", "a \nb");
    is_text("\"a\\ \n\n  b\\ \"", "a \nb ");
    is_text("\"\\x41\\u00e9\\U0001f600\\/\\_\\e\"", "Aé😀/\u00a0\x1b");
    is_text("\"a\r\n  b\r\n\r\n  c\"", "a b\nc");
}

static void an_alias_is_its_anchor(void **state)
{
    (void)state;
    const char *text = "a: &x {k: v}\nb: *x\n";
    g_autofree char *mistakes = NULL;
    g_autoptr(YamlTree) tree = parse(text, strlen(text), &mistakes);
    assert_null(mistakes);
    assert_ptr_equal(yaml_get(tree->root, "a"), yaml_get(tree->root, "b"));
}

static void refuses_what_is_no_tree(void **state)
{
    (void)state;
    refused("", "f:1:1: the file is empty");
    refused("a: &x [*x]\n", "f:1:8: the alias 'x' lies within its own anchor");
    refused("a: *x\n", "f:1:4: no anchor is named 'x'");
    refused("a: 1\na: 2\n", "f:2:1: 'a' is given twice, first in line 1");
    refused("? [a]\n: b\n", "a key must be a word");
    refused("a: !!str b\n", "f:1:4: tags");
    refused("a: 1\n---\nb: 2\n", "a second document");
    refused("a: [1\n", "not YAML");
    refused("a:\n\tb: 1\n", "f:2:1: a tab in the indentation");
}

static void refuses_what_is_no_text(void **state)
{
    (void)state;
    refused("a: \"\\ud800\"\n", "f:1:5: ");
    refused("a: >\n  b\n\n  \tc\n", "a folded text with a line that begins with a tab");
    refused_bytes("a: b\0c\n", 7, "f:1:5: a NUL byte");
    refused("a: b\nc: \xff\n", "f:2:4: the byte 0xff is not valid UTF-8");
    refused("a: \"b\\0c\"\n", "a NUL character in a text");
}

static void refuses_depth(void **state)
{
    (void)state;
    g_autofree char *deep = g_strnfill(100000, '[');
    refused(deep, "nested deeper");
}

static void refuses_size(void **state)
{
    (void)state;
    g_autofree char *big = g_strnfill(YAML_MOST_BYTES + 1, 'x');
    refused(big, "longer than");
}

static void refuses_multitudes(void **state)
{
    (void)state;
    g_autoptr(GString) text = g_string_new("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++) {
        g_string_append_printf(text, "a%d: &a%d [", i, i);
        for (int j = 0; j < 9; j++) {
            g_string_append_printf(text, "*a%d,", i - 1);
        }
        g_string_append(text, "]\n");
    }
    refused(text->str, "counting each alias in full");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_nodes_with_places),
        cmocka_unit_test(unquotes),
        cmocka_unit_test(an_alias_is_its_anchor),
        cmocka_unit_test(refuses_what_is_no_tree),
        cmocka_unit_test(refuses_what_is_no_text),
        cmocka_unit_test(refuses_depth),
        cmocka_unit_test(refuses_size),
        cmocka_unit_test(refuses_multitudes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
