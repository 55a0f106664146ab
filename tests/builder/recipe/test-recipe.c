/* Recipes from text to the checked tree: defaults, variables, secrets, and mistakes at their places. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <ingot/error.h>
#include <ingot/file.h>

#include "recipe/mask.h"
#include "recipe/recipe.h"

#define TOP "name: x\nsource: {from: y}\n"

static char *folder;

static char *write_file(const char *name, const char *text)
{
    char *path = g_build_filename(folder, name, NULL);
    assert_true(g_file_set_contents(path, text, -1, NULL));
    return path;
}

static Recipe *load(const char *text, const RecipeInputs *inputs, GError **error)
{
    g_autofree char *path = write_file("recipe.yaml", text);
    return recipe_load(path, inputs, error);
}

static Recipe *good(const char *text, const RecipeInputs *inputs)
{
    g_autoptr(GError) error = NULL;
    Recipe *recipe = load(text, inputs, &error);
    if (recipe == NULL) {
        fail_msg("%s", error->message);
    }
    return recipe;
}

static void bad(const char *text, const RecipeInputs *inputs, const char *expected)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Recipe) recipe = load(text, inputs, &error);
    assert_null(recipe);
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    if (strstr(error->message, expected) == NULL) {
        fail_msg("'%s' is not in '%s'", expected, error->message);
    }
}

static json_t *item(const json_t *tree, const char *list, size_t index)
{
    return json_array_get(json_object_get(tree, list), index);
}

static const char *text_at(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void further_disks_have_sizes(void **state)
{
    (void)state;
    g_autoptr(Recipe) recipe = good(TOP "machine: {disks: [1G, \"64M\", 1048576]}\n", NULL);
    RecipeMachine machine = recipe_machine(recipe);
    assert_int_equal(machine.disk_count, 3);
    assert_int_equal(machine.disks[0], 1 << 30);
    assert_int_equal(machine.disks[1], 64 << 20);
    assert_int_equal(machine.disks[2], 1 << 20);
    g_autoptr(Recipe) none = good(TOP, NULL);
    assert_int_equal(recipe_machine(none).disk_count, 0);
}

static void fills_in_defaults(void **state)
{
    (void)state;
    g_autoptr(Recipe) recipe = good(TOP "steps: [{shell: a}]\ntests: [{http: {}}]\n", NULL);
    assert_string_equal(recipe->name, "x");
    assert_null(recipe->version);
    RecipeMachine machine = recipe_machine(recipe);
    assert_int_equal(machine.cpus, 2);
    assert_int_equal(machine.memory, 1 << 30);
    assert_int_equal(machine.disk, 0);
    assert_false(machine.uefi);
    const json_t *step = item(recipe->tree, "steps", 0), *test = item(recipe->tree, "tests", 0);
    assert_string_equal(text_at(step, "kind"), "shell");
    assert_string_equal(text_at(step, "user"), "root");
    assert_int_equal(json_integer_value(json_object_get(step, "timeout")), 1800);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(step, "expect"), 0)), 0);
    assert_string_equal(text_at(test, "kind"), "http");
    assert_int_equal(json_integer_value(json_object_get(test, "status")), 200);
    assert_string_equal(text_at(test, "path"), "/");
    assert_string_equal(text_at(json_object_get(recipe->tree, "source"), "reference"), "y");
}

static void makes_paths_absolute_but_shows_them_as_written(void **state)
{
    (void)state;
    g_autofree char *script = write_file("do.sh", "true\n");
    g_autoptr(Recipe) recipe = good(TOP "steps:\n"
                                        "  - script: do.sh\n"
                                        "  - file: {from: do.sh, to: /do.sh}\n"
                                        "  - file: {from: /do.sh, to: out/, direction: down}\n",
                                    NULL);
    g_autofree char *out = g_build_filename(folder, "out/", NULL);
    assert_string_equal(text_at(item(recipe->tree, "steps", 0), "path"), script);
    assert_string_equal(text_at(item(recipe->tree, "steps", 1), "from"), script);
    assert_string_equal(text_at(item(recipe->tree, "steps", 1), "to"), "/do.sh");
    assert_string_equal(text_at(item(recipe->tree, "steps", 2), "to"), out);
    assert_string_equal(text_at(item(recipe->public_tree, "steps", 0), "path"), "do.sh");
    assert_string_equal(text_at(item(recipe->public_tree, "steps", 1), "from"), "do.sh");
}

static void replaces_variables(void **state)
{
    (void)state;
    const char *text = "name: x\nversion: 1.2.3\nsource: {from: y}\n"
                       "variables: {a: one, b: 2, c: \"${a}+${b}\", port: 80}\n"
                       "description: ${c} $${a} ${recipe.name}-${version}\n"
                       "steps: [{shell: \"${a} ${HOME} ${a:-x} ${version} $${b} ${recipe.name} $$ ${\"}]\n"
                       "tests: [{port: \"${port}\"}]\n";
    g_autofree char *file = write_file("vars.json", "{\"a\": \"file\", \"b\": 3}");
    const char *const vars[] = {"a=option", NULL}, *const files[] = {file, NULL};
    RecipeInputs inputs = {vars, files};
    g_setenv("INGOT_VAR_b", "environment", TRUE);
    g_setenv("INGOT_VAR_port", "8080", TRUE);
    g_autoptr(Recipe) plain = good(text, NULL);
    g_autoptr(Recipe) set = good(text, &inputs);
    g_unsetenv("INGOT_VAR_b");
    g_unsetenv("INGOT_VAR_port");
    assert_string_equal(text_at(plain->tree, "description"), "one+environment ${a} x-1.2.3");
    assert_string_equal(text_at(set->tree, "description"), "option+3 ${a} x-1.2.3");
    assert_string_equal(text_at(item(plain->tree, "steps", 0), "script"),
                        "one ${HOME} ${a:-x} ${version} ${b} x $$ ${");
    assert_int_equal(json_integer_value(json_object_get(item(plain->tree, "tests", 0), "port")), 8080);
    assert_string_equal(text_at(json_object_get(set->tree, "variables"), "b"), "3");
}

static void refuses_wrong_variables(void **state)
{
    (void)state;
    const char *const unknown[] = {"colr=red", NULL}, *const shapeless[] = {"colour", NULL};
    const char *text = TOP "variables: {colour: red}\n";
    bad(text, &(RecipeInputs){unknown, NULL}, "--var: the recipe has no variable 'colr' (did you mean 'colour'?)");
    bad(text, &(RecipeInputs){shapeless, NULL}, "expected NAME=VALUE");
    g_autofree char *file = write_file("vars.yaml", "# values\ncolr: red\n");
    const char *const files[] = {file, NULL};
    bad(text, &(RecipeInputs){NULL, files}, "vars.yaml:2:1: the recipe has no variable 'colr'");
    bad(TOP "description: a ${colr}\nvariables: {colour: red}\n", NULL,
        ":3:16: unknown variable '${colr}' (did you mean 'colour'?)");
    bad(TOP "variables:\n  key: {required: true}\n", NULL, ":4:3: the variable 'key' is required");
    bad(TOP "steps:\n  - shell: |\n      a\n      b ${git.commits}\n", NULL, ":6:9: unknown variable '${git.commits}'");
}

static gboolean tree_holds(const json_t *tree, const char *text)
{
    g_autofree char *dump = json_dumps(tree, 0);
    return strstr(dump, text) != NULL;
}

static void keeps_secrets(void **state)
{
    (void)state;
    const char *text = TOP "variables: {token: {secret: true, required: true}}\n"
                           "steps: [{shell: \"login ${token}\", env: {A: \"a-${token}\", B: s3cret-x}}]\n"
                           "tests: [{http: {body: \"${token}\"}}]\n";
    const char *const vars[] = {"token=s3cret-x", NULL};
    g_autoptr(Recipe) recipe = good(text, &(RecipeInputs){vars, NULL});
    assert_string_equal(text_at(item(recipe->tree, "steps", 0), "script"), "login s3cret-x");
    assert_string_equal(text_at(item(recipe->public_tree, "steps", 0), "script"), "login ***");
    assert_true(tree_holds(recipe->tree, "a-s3cret-x"));
    assert_true(tree_holds(recipe->public_tree, "a-***"));
    assert_false(tree_holds(recipe->public_tree, "s3cret-x"));
    assert_string_equal(text_at(json_object_get(recipe->tree, "variables"), "token"), "***");
    g_autofree char *masked = recipe_mask(recipe, "the s3cret-x!");
    assert_string_equal(masked, "the ***!");
    bad(TOP "variables: {token: {secret: true, default: abc}}\ndescription: ${token}\n", NULL,
        ":4:14: the secret '${token}' may be used in the texts of steps and tests only");
}

static void does_not_tell_a_secret_in_a_mistake(void **state)
{
    (void)state;
    const char *const vars[] = {"user=s3cret value", NULL};
    bad(TOP "variables: {user: {secret: true}}\nsteps: [{shell: a, user: \"${user}\"}]\n", &(RecipeInputs){vars, NULL},
        "'user': '***' is not a user's name");
}

static void masks_line_by_line(void **state)
{
    (void)state;
    g_autoptr(GPtrArray) secrets = g_ptr_array_new_with_free_func(g_free);
    mask_add(secrets, "first line\n}\nlast line\n");
    mask_add(secrets, "first line and more");
    mask_add(secrets, "");
    assert_string_equal(g_ptr_array_index(secrets, 0), "first line\n}\nlast line\n");
    g_autofree char *masked = mask_text(secrets, "> first line and more, first line } last line");
    assert_string_equal(masked, "> ***, *** } ***");
}

static void lists_every_mistake_in_order(void **state)
{
    (void)state;
    g_autoptr(GError) error = NULL;
    g_autoptr(Recipe) recipe =
        load("name: x\nsource: {form: y}\nmachine: {cpus: two}\nsteps:\n  - shel: a\n", NULL, &error);
    assert_null(recipe);
    g_auto(GStrv) lines = g_strsplit(error->message, "\n", -1);
    assert_int_equal(g_strv_length(lines), 3);
    assert_true(g_str_has_suffix(lines[0], ":2:10: unknown source 'form' (did you mean 'from'?)"));
    assert_true(g_str_has_suffix(lines[1], ":3:17: 'cpus': expected a number, not text 'two'"));
    assert_true(g_str_has_suffix(lines[2], ":5:5: unknown step 'shel' (did you mean 'shell'?)"));
}

static int make_folder(void **state)
{
    (void)state;
    folder = g_dir_make_tmp("ingot-recipe-XXXXXX", NULL);
    return folder == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    gboolean ok = ingot_file_remove_tree(folder, NULL);
    g_free(folder);
    return !ok;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_in_defaults),
        cmocka_unit_test(further_disks_have_sizes),
        cmocka_unit_test(makes_paths_absolute_but_shows_them_as_written),
        cmocka_unit_test(replaces_variables),
        cmocka_unit_test(refuses_wrong_variables),
        cmocka_unit_test(keeps_secrets),
        cmocka_unit_test(does_not_tell_a_secret_in_a_mistake),
        cmocka_unit_test(masks_line_by_line),
        cmocka_unit_test(lists_every_mistake_in_order),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
