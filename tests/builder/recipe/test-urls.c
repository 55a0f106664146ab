/* A login or a signature in the URL of a source is shown nowhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include "base/file.h"
#include "base/secrets.h"
#include <cmocka.h>
#include <string.h>

#include "recipe/recipe.h"

#define SHA256 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static Recipe *load(const char *source, const char *const *vars)
{
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(NULL);
    g_autofree char *path = ingot_workdir_file(workdir, "a.yaml");
    g_autofree char *text = g_strdup_printf("name: x\nvariables: {login: none}\nsource:\n  %s\n", source);
    assert_true(g_file_set_contents(path, text, -1, NULL));
    const RecipeInputs inputs = {.vars = vars};
    g_autoptr(GError) error = NULL;
    Recipe *recipe = recipe_load(path, &inputs, &error);
    assert_null(error);
    return recipe;
}

static void expect_hidden(const Recipe *recipe, const char *secret)
{
    g_autofree char *tree = ingot_json_canonical(recipe->public_tree);
    g_autofree char *line = g_strdup_printf("GET %s failed", secret);
    g_autofree char *masked = recipe_mask(recipe, line);
    g_autofree char *everywhere = ingot_secrets_mask_all(line);
    assert_null(strstr(tree, secret));
    assert_null(strstr(recipe->public_text, secret));
    assert_string_equal(masked, "GET *** failed");
    assert_string_equal(everywhere, "GET *** failed");
}

static void a_mirrors_login_is_hidden(void **state)
{
    (void)state;
    g_autoptr(Recipe) recipe = load("bootstrap: {suite: s, mirror: \"https://me:pass%40word@m.example/d\"}", NULL);
    expect_hidden(recipe, "pass%40word");
    expect_hidden(recipe, "me:pass%40word");
    g_autofree char *meant = recipe_mask(recipe, "login me password pass@word");
    assert_string_equal(meant, "login me password ***");
    assert_non_null(strstr(recipe->public_text, "@m.example/d"));
    const json_t *source = json_object_get(recipe->public_tree, "source");
    assert_string_equal(json_string_value(json_object_get(source, "mirror")), "https://m.example/d");
    source = json_object_get(recipe->tree, "source");
    assert_string_equal(json_string_value(json_object_get(source, "mirror")), "https://me:pass%40word@m.example/d");
}

static void a_signature_is_hidden(void **state)
{
    (void)state;
    g_autoptr(Recipe) recipe =
        load("image: {url: \"https://h.example/a.img?sv=1&sig=abcdef\", sha256: " SHA256 "}", NULL);
    expect_hidden(recipe, "sv=1&sig=abcdef");
    assert_non_null(strstr(recipe->public_text, "https://h.example/a.img"));
}

/* One that a variable brings, too. */
static void a_variables_login_is_hidden(void **state)
{
    static const char *const vars[] = {"login=bob:swordfish", NULL};
    (void)state;
    g_autoptr(Recipe) recipe = load("image: {url: \"https://${login}@h.example/a\", sha256: " SHA256 "}", vars);
    expect_hidden(recipe, "swordfish");
}

/* A variable that the source shares with all else that a recipe says: titles, config, annotations and reports are made
 * of public_tree. */
static void a_login_is_hidden_all_over_the_tree(void **state)
{
    static const char *const vars[] = {"login=http://ci:s3cret99@m.example/debian", NULL};
    (void)state;
    g_autoptr(Recipe) recipe = load("bootstrap: {suite: s, mirror: \"${login}\"}\n"
                                    "description: from ${login}\n"
                                    "annotations: {com.example.mirror: \"${login}\", kind: \"${login}\"}\n"
                                    "steps: [{shell: \"echo ${login}\"}, {shell: \"true\", env: {M: \"${login}\"}}]\n"
                                    "tests: [{shell: \"curl ${login}\"}]",
                                    vars);
    expect_hidden(recipe, "s3cret99");
    expect_hidden(recipe, "ci:s3cret99");
    const json_t *step = json_array_get(json_object_get(recipe->public_tree, "steps"), 0);
    assert_string_equal(json_string_value(json_object_get(step, "script")), "echo http://***@m.example/debian");
    step = json_array_get(json_object_get(recipe->tree, "steps"), 0);
    assert_string_equal(json_string_value(json_object_get(step, "script")), "echo http://ci:s3cret99@m.example/debian");
}

/* A password that is also a word of the recipe's form leaves the form alone. */
static void a_password_may_be_a_kind(void **state)
{
    (void)state;
    g_autoptr(Recipe) recipe = load("bootstrap: {suite: s, mirror: \"http://ci:shell@m.example/\"}\n"
                                    "steps: [{shell: \"a shell\"}]",
                                    NULL);
    const json_t *step = json_array_get(json_object_get(recipe->public_tree, "steps"), 0);
    assert_string_equal(json_string_value(json_object_get(step, "kind")), "shell");
    assert_string_equal(json_string_value(json_object_get(step, "script")), "a ***");
}

/* Nothing else is masked: neither a URL without either, nor a word so short that it stands everywhere. */
static void what_is_public_stays(void **state)
{
    (void)state;
    g_autoptr(Recipe) plain = load("bootstrap: {suite: s, mirror: \"https://m.example/d\"}", NULL);
    g_autoptr(Recipe) brief = load("bootstrap: {suite: s, mirror: \"https://a@m.example/d\"}", NULL);
    g_autofree char *same = recipe_mask(plain, "https://m.example/d");
    g_autofree char *word = recipe_mask(brief, "a cat");
    assert_string_equal(same, "https://m.example/d");
    assert_string_equal(word, "a cat");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mirrors_login_is_hidden),   cmocka_unit_test(a_signature_is_hidden),
        cmocka_unit_test(a_variables_login_is_hidden), cmocka_unit_test(a_login_is_hidden_all_over_the_tree),
        cmocka_unit_test(a_password_may_be_a_kind),    cmocka_unit_test(what_is_public_stays)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
