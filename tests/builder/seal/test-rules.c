/* The seal's table: the man page has the same one, and every row does something. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glib.h>
#include <string.h>

#include "seal/rules.h"

#define MANUAL "builder/recipe/ingot-recipe.5"

static void add_list(GString *text, const char *title, const char *const *patterns)
{
    for (guint i = 0; patterns != NULL && patterns[i] != NULL; i++) {
        g_string_append_printf(text, "%s%s", i == 0 ? title : ",\n", patterns[i]);
    }
    g_string_append(text, patterns == NULL ? "" : ".\n");
}

/* The table as roff. */
static char *table(void)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (const SealRule *rule = seal_rules; rule->word != NULL; rule++) {
        g_string_append_printf(text, ".TP\n.B %s\n%s.\n", rule->word, rule->what);
        add_list(text, "Removed:\n", rule->remove);
        add_list(text, "Emptied:\n", rule->truncate);
        if (rule->needs != NULL) {
            g_string_append_printf(text, "Only where there is\n%s.\n", rule->needs);
        }
        if (rule->only != NULL) {
            g_string_append_printf(text, "Only where %s.\n", rule->only);
        }
        g_string_append_printf(text, "Made again by: %s.\n", rule->again == NULL ? "nobody" : rule->again);
    }
    g_string_replace(text, "-", "\\-", 0);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static void the_manual_has_the_table(void **state)
{
    (void)state;
    g_autofree char *manual = NULL;
    g_autofree char *expected = table();
    assert_true(g_file_get_contents(MANUAL, &manual, NULL, NULL));
    if (strstr(manual, expected) == NULL) {
        g_printerr("%s, SEAL, should have:\n%s", MANUAL, expected); /* print_error cuts it off */
        fail();
    }
}

/* The page's table is copied from what the test above prints, and a report comes after it. */
static void the_manual_has_no_test_report(void **state)
{
    (void)state;
    g_autofree char *manual = NULL;
    assert_true(g_file_get_contents(MANUAL, &manual, NULL, NULL));
    g_auto(GStrv) lines = g_strsplit(manual, "\n", -1);
    for (guint i = 0; lines[i] != NULL; i++) {
        if (g_regex_match_simple("^\\[ *[A-Z]+ *\\] |FAILED TEST", lines[i], 0, 0)) {
            fail_msg("%s:%u is a line of a test report: %s", MANUAL, i + 1, lines[i]);
        }
    }
}

static void every_row_does_something(void **state)
{
    (void)state;
    for (const SealRule *rule = seal_rules; rule->word != NULL; rule++) {
        assert_true(rule->remove != NULL || rule->truncate != NULL);
        assert_true(rule->remake == NULL || rule->needs != NULL);
        assert_true((rule->applies == NULL) == (rule->only == NULL));
    }
}

static void every_pattern_is_absolute_and_named_once(void **state)
{
    (void)state;
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    for (const SealRule *rule = seal_rules; rule->word != NULL; rule++) {
        for (guint i = 0; rule->remove != NULL && rule->remove[i] != NULL; i++) {
            assert_true(g_str_has_prefix(rule->remove[i], "/"));
            assert_true(g_hash_table_add(seen, (gpointer)rule->remove[i]));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_manual_has_the_table),
        cmocka_unit_test(the_manual_has_no_test_report),
        cmocka_unit_test(every_row_does_something),
        cmocka_unit_test(every_pattern_is_absolute_and_named_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
