/* Sets of recipes: with those that they are based on, all mistakes at once, variables of any of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <ingot/error.h>
#include <ingot/file.h>

#include "recipe/set.h"

static char *folder;

static int set_up(void **state)
{
    (void)state;
    folder = g_dir_make_tmp("ingot-set-XXXXXX", NULL);
    return folder == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    ingot_file_remove_tree(folder, NULL);
    g_clear_pointer(&folder, g_free);
    return 0;
}

static char *write_file(const char *name, const char *text)
{
    char *path = g_build_filename(folder, name, NULL);
    assert_true(g_file_set_contents(path, text, -1, NULL));
    return path;
}

/* names: files with spaces between; "": the folder. */
static RecipeSet *load(const char *names, const RecipeInputs *inputs)
{
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    g_auto(GStrv) list = g_strsplit(*names != '\0' ? names : ".", " ", -1);
    for (guint i = 0; list[i] != NULL; i++) {
        g_ptr_array_add(paths, g_build_filename(folder, list[i], NULL));
    }
    return recipe_set_load(paths, inputs);
}

static void expect_good(const RecipeSet *set)
{
    g_autoptr(GError) error = NULL;
    if (!recipe_set_raise(set, &error)) {
        fail_msg("%s", error->message);
    }
}

/* All mistakes, one a line, without the folder's name. */
static char *mistakes_of(const char *names, const RecipeInputs *inputs)
{
    g_autoptr(RecipeSet) set = load(names, inputs);
    g_autoptr(GError) error = NULL;
    assert_false(recipe_set_raise(set, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    g_autoptr(GString) text = g_string_new(error->message);
    g_autofree char *prefix = g_strconcat(folder, "/", NULL);
    g_string_replace(text, "./", "", 0);
    g_string_replace(text, prefix, "", 0);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static const char *variable(const RecipeSet *set, guint member, const char *name)
{
    const RecipeMember *one = g_ptr_array_index(set->members, member);
    return json_string_value(json_object_get(json_object_get(one->recipe->tree, "variables"), name));
}

static void write_family(void)
{
    g_autofree char *base = write_file("base.yaml", "name: base\nsource: {from: y}\nvariables: {mirror: a}\n");
    g_autofree char *web = write_file("web.yaml", "name: web\nsource: {recipe: base.yaml}\nvariables: {port: 80}\n");
}

static void sets_a_variable_that_a_parent_alone_has(void **state)
{
    (void)state;
    write_family();
    g_autofree char *values = write_file("values.json", "{\"mirror\": \"c\", \"port\": 81}");
    const char *const vars[] = {"mirror=b", NULL}, *const files[] = {values, NULL};
    g_autoptr(RecipeSet) option = load("web.yaml", &(RecipeInputs){.vars = vars});
    expect_good(option);
    assert_string_equal(variable(option, 0, "mirror"), "b");
    assert_string_equal(variable(option, 1, "port"), "80");
    g_autoptr(RecipeSet) file = load("web.yaml", &(RecipeInputs){.var_files = files});
    expect_good(file);
    assert_string_equal(variable(file, 0, "mirror"), "c");
    assert_string_equal(variable(file, 1, "port"), "81");
}

static void sets_a_variable_that_one_of_a_folder_has(void **state)
{
    (void)state;
    write_family();
    const char *const vars[] = {"port=8080", NULL};
    g_autoptr(RecipeSet) set = load("", &(RecipeInputs){.vars = vars});
    expect_good(set);
    assert_int_equal(set->members->len, 2);
}

static void refuses_a_variable_that_none_has(void **state)
{
    (void)state;
    write_family();
    const char *const vars[] = {"mirrors=b", NULL};
    g_autofree char *several = mistakes_of("web.yaml", &(RecipeInputs){.vars = vars});
    assert_string_equal(several,
                        "--var: the recipes have no variable 'mirrors' (did you mean 'mirror'?); known: mirror, port");
    g_autofree char *alone = mistakes_of("base.yaml", &(RecipeInputs){.vars = vars});
    assert_string_equal(alone, "--var: the recipe has no variable 'mirrors' (did you mean 'mirror'?); known: mirror");
}

static void a_variable_whose_declaration_is_broken_is_not_refused(void **state)
{
    (void)state;
    g_autofree char *path = write_file("a.yaml", "name: a\nvariables: {mirror: [}\nsource: {from: y}\n");
    const char *const vars[] = {"mirror=b", NULL};
    g_autofree char *mistakes = mistakes_of("a.yaml", &(RecipeInputs){.vars = vars});
    assert_null(strstr(mistakes, "no variable"));
    assert_non_null(strstr(mistakes, "a.yaml:2:"));
}

static void lists_the_mistakes_of_all_and_each_once(void **state)
{
    (void)state;
    g_autofree char *base = write_file("base.yaml", "name: base\nsource: {form: y}\n");
    g_autofree char *one = write_file("one.yaml", "name: one\nsource: {recipe: base.yaml}\ntests: 5\n");
    g_autofree char *two = write_file("two.yaml", "name: two\nsource: {recipe: base.yaml}\n");
    g_autofree char *three = write_file("three.yaml", "name: three\nsource: {recipe: three.yaml}\n");
    g_autofree char *values = write_file("values.yaml", "a: [1]\n");
    const char *const files[] = {values, NULL};
    g_autofree char *mistakes = mistakes_of("", &(RecipeInputs){.var_files = files});
    static const char *const expected[] = {"base.yaml:2:10: unknown source 'form'", "one.yaml:3:8: 'tests'",
                                           "three.yaml: it is based on itself", "values.yaml:1:4: 'a': expected"};
    for (guint i = 0; i < G_N_ELEMENTS(expected); i++) {
        const char *found = strstr(mistakes, expected[i]);
        if (found == NULL) {
            fail_msg("'%s' is not in:\n%s", expected[i], mistakes);
        }
        assert_null(strstr(found + 1, expected[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sets_a_variable_that_a_parent_alone_has, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sets_a_variable_that_one_of_a_folder_has, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_a_variable_that_none_has, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_variable_whose_declaration_is_broken_is_not_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lists_the_mistakes_of_all_and_each_once, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
