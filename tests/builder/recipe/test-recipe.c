/* Recipes from text to the checked tree: defaults, variables, secrets, and mistakes at their places. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <ingot/error.h>

#include "base/file.h"
#include "base/process.h"
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

/* What the tests of an image are run with is what it was built with. */
static void an_image_is_tested_with_its_own_values(void **state)
{
    (void)state;
    const char *text = TOP "variables:\n"
                           "  port: 80\n"
                           "  token: {secret: true, required: true}\n"
                           "  pass: {secret: true, default: of-old}\n"
                           "  other: x\n"
                           "  place: ${recipe.dir}/site\n"
                           "description: of ${date} by ${git.commit}\n"
                           "steps:\n"
                           "  - {file: {from: was-left-out, to: /srv/}}\n"
                           "  - {shell: \"login ${token} ${recipe.dir}\"}\n"
                           "tests:\n"
                           "  - {http: {port: \"${port}\", body: \"${date} ${pass}\"}}\n";
    g_autoptr(json_t) kept =
        json_pack("{s:s, s:s, s:s, s:s}", "port", "8080", "token", "***", "pass", "***", "date", "2020-01-02");
    const char *const vars[] = {"pass=n3w-pass", NULL}, *const ports[] = {"pass=n3w-pass", "port=90", NULL};
    g_setenv("INGOT_VAR_port", "81", TRUE);
    g_autoptr(Recipe) recipe = good(text, &(RecipeInputs){.vars = vars, .kept = kept});
    g_autoptr(Recipe) given = good(text, &(RecipeInputs){.vars = ports, .kept = kept});
    g_autoptr(json_t) none = json_object();
    bad(text, &(RecipeInputs){.vars = vars, .kept = none}, "'${port}': the value that the image was built with");
    g_unsetenv("INGOT_VAR_port");
    assert_int_equal(json_integer_value(json_object_get(item(recipe->tree, "tests", 0), "port")), 8080);
    assert_string_equal(text_at(item(recipe->tree, "tests", 0), "body"), "2020-01-02 n3w-pass");
    assert_int_equal(json_integer_value(json_object_get(item(given->tree, "tests", 0), "port")), 90);
    /* Neither the default of then nor today's counts for what is not known. */
    bad(text, &(RecipeInputs){.kept = kept},
        "'${pass}': the value that the image was built with is not kept with the image: set it in a --var-file");
    bad(text, &(RecipeInputs){.vars = ports, .kept = none}, "'${date}': what it stood for when the image was built");
    bad(TOP "session: {password: \"***\"}\n", &(RecipeInputs){.kept = none}, "'password': it is a secret");
    bad(TOP "session: {user: u, key: /etc/passwd}\n", &(RecipeInputs){.kept = none, .within = folder},
        "'/etc/passwd': is outside of the recipe's folder");
}

/* No secret, no path of this host, and nothing that the recipe did not ask for. */
static void tests_alone_need_no_source(void **state)
{
    (void)state;
    const char *text = "name: cis\nvariables: {port: 22, other: {required: true}}\n"
                       "tests: [{port: \"${port}\"}, {shell: \"${other}\"}]\n";
    const char *const vars[] = {"port=90", "other=true", NULL};
    RecipeInputs inputs = {.vars = vars, .tests_only = TRUE};
    g_autoptr(Recipe) recipe = good(text, &inputs);
    assert_int_equal(json_integer_value(json_object_get(item(recipe->tree, "tests", 0), "port")), 90);
    bad(text, &(RecipeInputs){.tests_only = TRUE}, "the variable 'other' is required");
    bad(text, &(RecipeInputs){.vars = vars}, "the key 'source' is missing");
    g_setenv("INGOT_VAR_other", "true", TRUE);
    bad(text, &(RecipeInputs){.tests_only = TRUE, .defaults_only = TRUE}, "the variable 'other' is required");
    g_unsetenv("INGOT_VAR_other");
}

static void the_values_of_a_build_are_kept(void **state)
{
    (void)state;
    const char *text = TOP "variables: {port: 80, token: {secret: true, required: true}, in: \"a-${recipe.dir}\"}\n"
                           "description: of ${date}\n";
    const char *const vars[] = {"port=8080", "token=s3cret-x", NULL};
    g_autoptr(Recipe) recipe = good(text, &(RecipeInputs){.vars = vars});
    assert_string_equal(text_at(recipe->values, "port"), "8080");
    assert_string_equal(text_at(recipe->values, "token"), "***");
    assert_int_equal(strlen(text_at(recipe->values, "date")), strlen("2020-01-02"));
    assert_int_equal(json_object_size(recipe->values), 3);
}

static void does_not_tell_a_secret_in_a_mistake(void **state)
{
    (void)state;
    const char *const vars[] = {"user=s3cret value", NULL};
    bad(TOP "variables: {user: {secret: true}}\nsteps: [{shell: a, user: \"${user}\"}]\n", &(RecipeInputs){vars, NULL},
        "'user': '***' is not a user's name");
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

/* Loads a text with mistakes and expects exactly these, in order: each "LINE:COLUMN: beginning of the message". */
static void expect_mistakes(const char *text, const char *const *expected)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Recipe) recipe = load(text, NULL, &error);
    g_autofree char *prefix = g_strdup_printf("%s/recipe.yaml:", folder);
    assert_null(recipe);
    g_auto(GStrv) lines = g_strsplit(error->message, "\n", -1);
    for (guint i = 0; expected[i] != NULL || lines[i] != NULL; i++) {
        if (expected[i] == NULL || lines[i] == NULL || !g_str_has_prefix(lines[i], prefix) ||
            !g_str_has_prefix(lines[i] + strlen(prefix), expected[i])) {
            print_message("%s\n", error->message);
            fail_msg("mistake %u should be '%s'", i, expected[i] != NULL ? expected[i] : "none");
        }
    }
}

static void one_mistake_hides_no_other(void **state)
{
    (void)state;
    expect_mistakes("name: Wrong Name\n"
                    "version: one\n"
                    "source: {from: y, image: {sha256: nope}}\n"
                    "machin: {cpus: two}\n"
                    "variables:\n"
                    "  port: {requires: yes, secret: maybe}\n"
                    "steps:\n"
                    "  - shel: 5\n"
                    "    timeout: ever\n"
                    "  - {shell: a, script: missing.sh, user: \"${nobody}\"}\n"
                    "  - timeout: 1m\n"
                    "    workdir: relative\n"
                    "  - file: [{from: \"${git.nothing}\"}]\n"
                    "  - {shell: ok, env: {1A: \"${undeclared}\"}}\n"
                    "tests: {port: 99999}\n"
                    "seal: {keep: [log], remove: /\n"
                    "  }\n",
                    (const char *const[]){
                        "1:7: 'name': 'Wrong Name' is not",
                        "2:10: 'version': 'one' is not",
                        "3:9: a source is one thing, not both 'image' and 'from'",
                        "3:26: 'image': exactly one of",
                        "3:35: 'sha256': 'nope' is not",
                        "4:1: unknown key 'machin' (did you mean 'machine'?)",
                        "4:16: 'cpus': expected a number",
                        "6:10: unknown key 'requires' (did you mean 'required'?)",
                        "6:20: 'required': expected true or false",
                        "6:33: 'secret': expected true or false",
                        "8:5: unknown step 'shel' (did you mean 'shell'?)",
                        "8:11: 'shell': expected text, not a number '5'",
                        "9:14: 'timeout': 'ever' is not",
                        "10:5: a step is one thing, not both 'shell' and 'script'",
                        "10:24: 'missing.sh': there is no",
                        "10:43: unknown variable '${nobody}'",
                        "11:5: a step needs one of the keys",
                        "12:14: 'workdir': 'relative' is not an absolute path",
                        "13:11: 'file': expected a map, not a list",
                        "13:20: unknown variable '${git.nothing}'",
                        "14:23: 'env': '1A' is not a variable's name",
                        "14:28: unknown variable '${undeclared}'",
                        "15:8: 'tests': expected a list, not a map",
                        "15:15: 'port': '99999' is not",
                        "16:15: 'keep': unknown word 'log' (did you mean 'logs'?)",
                        "16:29: 'remove': expected a list, not text",
                        NULL,
                    });
}

static void a_syntax_error_hides_no_other(void **state)
{
    (void)state;
    expect_mistakes("name: UPPER\n"
                    "machine: {cpus: [1}\n"
                    "source: {from: y}\n"
                    "steps:\n"
                    "\t- shell: a\n"
                    "outputs: [qcow]\n"
                    "descriptions: x\n",
                    (const char *const[]){
                        "1:7: 'name': 'UPPER' is not",
                        "2:19: not YAML",
                        "5:1: a tab in the indentation",
                        "6:11: 'outputs': unknown word 'qcow'",
                        "7:1: unknown key 'descriptions'",
                        NULL,
                    });
    expect_mistakes("name: x\nsource: {from: *y}\ndescription: \"\\0\"\n[a]: b\ntests: 5\n",
                    (const char *const[]){
                        "2:16: no anchor is named 'y'",
                        "3:15: a NUL character",
                        "4:1: a key must be a word",
                        "5:8: 'tests': expected a list",
                        NULL,
                    });
}

/* What stands behind a syntax error may declare the variable, or be the key that seems to be missing. */
static void a_syntax_error_invents_no_other(void **state)
{
    (void)state;
    expect_mistakes("name: x\ndescription: ${later}\nvariables:\n  later: [\n  more: }\n",
                    (const char *const[]){"5:3: not YAML", NULL});
}

/* --- secrets in the text --- */

static void expect_hidden(const char *declaration, const char *shown)
{
    g_autofree char *text = g_strconcat(TOP, declaration, "steps: [{shell: a}]\n", NULL);
    g_autofree char *wanted = g_strconcat(TOP, shown, "steps: [{shell: a}]\n", NULL);
    g_autoptr(Recipe) recipe = good(text, NULL);
    assert_string_equal(recipe->public_text, wanted);
}

static void hides_a_secret_however_it_is_written(void **state)
{
    (void)state;
    expect_hidden("variables: {a: {secret: true, default: hunter2}}\n",
                  "variables: {a: {secret: true, default: \"***\"}}\n");
    expect_hidden("variables: {a: {secret: true, default: 'it''s'}}\n",
                  "variables: {a: {secret: true, default: '***'}}\n");
    expect_hidden("variables: {a: {secret: true, default: \"a\\\"b\\x41\"}}\n",
                  "variables: {a: {secret: true, default: \"***\"}}\n");
    expect_hidden("variables:\n  a:\n    default: |\n      one\n        two\n\n    secret: true\n",
                  "variables:\n  a:\n    default: |\n      ***\n\n    secret: true\n");
    expect_hidden("variables:\n  a:\n    default: >-\n      one\n      two\n    secret: true\n",
                  "variables:\n  a:\n    default: >-\n      ***\n    secret: true\n");
    expect_hidden("variables:\n  a:\n    secret: true\n    default: plain\n      text\n",
                  "variables:\n  a:\n    secret: true\n    default: \"***\"\n");
    expect_hidden("variables:\n  a:\n    secret: true\n    default:\n      \"fold\n      ed\"\n",
                  "variables:\n  a:\n    secret: true\n    default:\n      \"***\"\n");
    expect_hidden("variables: {\"a\": {\"secret\": true, \"default\": \"\\u0070ass\"}}\n",
                  "variables: {\"a\": {\"secret\": true, \"default\": \"***\"}}\n");
    expect_hidden("variables: {b: &s 'it''s', a: {secret: true, default: *s}}\n",
                  "variables: {b: &s '***', a: {secret: true, default: *s}}\n");
    expect_hidden("variables: {a: {secret: true, default: 12345}}\n",
                  "variables: {a: {secret: true, default: \"***\"}}\n");
    /* The value elsewhere in the text, too. */
    expect_hidden("variables: {a: {secret: true, default: hunter2}}\ndescription: it is hunter2\n",
                  "variables: {a: {secret: true, default: \"***\"}}\ndescription: it is ***\n");
}

static void hides_a_default_that_is_not_used(void **state)
{
    (void)state;
    const char *const vars[] = {"a=given", NULL};
    g_autoptr(Recipe) recipe =
        good(TOP "variables: {a: {secret: true, default: 'it''s'}}\n", &(RecipeInputs){vars, NULL});
    assert_null(strstr(recipe->public_text, "it"));
    g_autofree char *masked = recipe_mask(recipe, "given it's");
    assert_string_equal(masked, "*** ***");
}

static void a_session_is_a_way_in(void **state)
{
    (void)state;
    g_autofree char *key = write_file("id", "key\n");
    g_autoptr(Recipe) none = good(TOP, NULL);
    RecipeSession session = recipe_session(none);
    assert_false(session.given);
    assert_false(session.sudo);
    assert_true(session.proxy);
    assert_string_equal(session.user, "root");
    g_autoptr(Recipe) user = good(TOP "session: {user: debian, key: id, proxy: off}\n", NULL);
    session = recipe_session(user);
    assert_true(session.given);
    assert_true(session.sudo);
    assert_false(session.proxy);
    assert_string_equal(session.key_path, key);
    bad(TOP "session: {user: debian}\n", NULL, ":3:17: a session's user gets in by a 'password' or a 'key'");
    bad(TOP "session: {password: abcdef, key: id}\n", NULL, "either 'password' or 'key'");
    bad(TOP "session: {key: id, sudo: true}\n", NULL, "'sudo' has no meaning for root");
    bad(TOP "session: {key: none}\n", NULL, "there is no");
}

static void a_password_is_a_secret_wherever_it_stands(void **state)
{
    (void)state;
    g_autoptr(Recipe) literal = good(TOP "session: {user: admin, password: 'it''s'}\ndescription: it's\n", NULL);
    assert_string_equal(recipe_session(literal).password, "it's");
    assert_string_equal(literal->public_text, TOP "session: {user: admin, password: '***'}\ndescription: ***\n");
    assert_false(tree_holds(literal->public_tree, "it's"));
    const char *const vars[] = {"pass=s3cret-y", NULL};
    g_autoptr(Recipe) variable =
        good(TOP "variables: {pass: {secret: true}}\nsession: {user: admin, password: \"${pass}\"}\n",
             &(RecipeInputs){vars, NULL});
    assert_string_equal(recipe_session(variable).password, "s3cret-y");
    assert_false(tree_holds(variable->public_tree, "s3cret-y"));
    assert_non_null(strstr(variable->public_text, "${pass}"));
}

static void names_what_git_says(void **state)
{
    (void)state;
    g_autofree char *git = g_build_filename(folder, ".git", NULL);
    bad(TOP "description: ${git.commit}\n", NULL, "is not in a git repository");
    g_autofree char *written = write_file(".git", "gitdir: /nonexistent/place\n");
    bad(TOP "description: ${git.commit}\n", NULL, "fatal: not a git repository: /nonexistent/place");
    assert_int_equal(unlink(git), 0);
}

static void git(const char *in, const char *const *words)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    static const char *const head[] = {"git", "-c", "user.name=A", "-c", "user.email=a@example.org"};
    for (guint i = 0; i < G_N_ELEMENTS(head); i++) {
        g_ptr_array_add(argv, (gpointer)head[i]);
    }
    for (; *words != NULL; words++) {
        g_ptr_array_add(argv, (gpointer)*words);
    }
    g_ptr_array_add(argv, NULL);
    g_autoptr(GError) error = NULL;
    if (!ingot_process_run((const char *const *)argv->pdata, NULL, in, &error)) {
        fail_msg("%s", error->message);
    }
}

/* A repository with one commit. fsmonitor: what its configuration asks git to run. */
static void git_repository(const char *place, const char *fsmonitor)
{
    assert_true(ingot_file_make_folder(place, NULL));
    git(place, (const char *const[]){"init", "-q", NULL});
    git(place, (const char *const[]){"commit", "-q", "--allow-empty", "-m", "one", NULL});
    if (fsmonitor != NULL) {
        git(place, (const char *const[]){"config", "core.fsmonitor", fsmonitor, NULL});
    }
}

/* A folder that is a bare repository with a work tree: a clone brings it along as plain files. */
static void git_smuggle(const char *outer, const char *fsmonitor)
{
    g_autofree char *inner = g_build_filename(outer, "recipes", NULL);
    const char *const settings[][2] = {{"core.bare", "false"}, {"core.worktree", ".."}, {"core.fsmonitor", fsmonitor}};
    git_repository(outer, NULL);
    git(outer, (const char *const[]){"init", "-q", "--bare", inner, NULL});
    git(inner,
        (const char *const[]){"--git-dir=.", "--work-tree=..", "commit", "-q", "--allow-empty", "-m", "one", NULL});
    for (guint i = 0; i < G_N_ELEMENTS(settings); i++) {
        git(inner, (const char *const[]){"--git-dir=.", "config", settings[i][0], settings[i][1], NULL});
    }
}

static Recipe *load_at(const char *place, GError **error)
{
    g_autofree char *path = g_build_filename(place, "web.yaml", NULL);
    assert_true(g_file_set_contents(path, TOP "description: ${git.commit} ${git.dirty}\n", -1, NULL));
    return recipe_load(path, NULL, error);
}

static void runs_nothing_that_a_repository_names(void **state)
{
    (void)state;
    g_autofree char *mark = g_build_filename(folder, "mark", NULL);
    g_autofree char *command = g_strdup_printf("touch '%s'; false", mark);
    g_autofree char *outer = g_build_filename(folder, "outer", NULL);
    g_autofree char *inner = g_build_filename(outer, "recipes", NULL);
    git_smuggle(outer, command);
    g_autoptr(GError) error = NULL;
    assert_null(load_at(inner, &error));
    assert_non_null(strstr(error->message, "cannot use bare repository"));
    assert_false(g_file_test(mark, G_FILE_TEST_EXISTS));
    g_autofree char *plain = g_build_filename(folder, "plain", NULL);
    git_repository(plain, command);
    g_autoptr(Recipe) recipe = load_at(plain, NULL);
    assert_non_null(recipe);
    assert_non_null(strstr(text_at(recipe->tree, "description"), " true"));
    assert_false(g_file_test(mark, G_FILE_TEST_EXISTS));
    assert_true(ingot_file_remove_tree(outer, NULL) && ingot_file_remove_tree(plain, NULL));
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
        cmocka_unit_test(an_image_is_tested_with_its_own_values),
        cmocka_unit_test(tests_alone_need_no_source),
        cmocka_unit_test(the_values_of_a_build_are_kept),
        cmocka_unit_test(does_not_tell_a_secret_in_a_mistake),
        cmocka_unit_test(lists_every_mistake_in_order),
        cmocka_unit_test(one_mistake_hides_no_other),
        cmocka_unit_test(a_syntax_error_hides_no_other),
        cmocka_unit_test(a_syntax_error_invents_no_other),
        cmocka_unit_test(hides_a_secret_however_it_is_written),
        cmocka_unit_test(hides_a_default_that_is_not_used),
        cmocka_unit_test(a_session_is_a_way_in),
        cmocka_unit_test(a_password_is_a_secret_wherever_it_stands),
        cmocka_unit_test(names_what_git_says),
        cmocka_unit_test(runs_nothing_that_a_repository_names),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
