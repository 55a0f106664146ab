/* Sets of recipes: with those that they are based on, all mistakes at once, variables of any of them. */
#include "folder.h"

#include <glib/gstdio.h>
#include <unistd.h>

#include "recipe/set.h"

static RecipeSet *load(const char *names, const RecipeInputs *inputs)
{
    g_autoptr(GPtrArray) paths = paths_of(names);
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
    g_string_replace(text, prefix, "", 0);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static const char *variable(const RecipeSet *set, guint member, const char *name)
{
    const RecipeMember *one = g_ptr_array_index(set->members, member);
    return json_string_value(json_object_get(json_object_get(one->recipe->tree, "variables"), name));
}

/* A RecipeFetch: user is what there is. */
static const RecipeFetched *fetch(const char *reference, gpointer user, GError **error)
{
    const RecipeFetched *fetched = user;
    if (strcmp(reference, "a.example/base:1") != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "there is no %s", reference);
        return NULL;
    }
    return fetched;
}

static void a_parent_may_have_come_with_an_image(void **state)
{
    (void)state;
    g_autofree char *base = write_file("kept.yaml", "name: base\nsource: {from: y}\n"
                                                    "variables: {mirror: a, word: {secret: true, default: '***'}}\n"
                                                    "steps: [{shell: 'echo ${word}'}]\n");
    g_autofree char *web = write_file("web.yaml", "name: web\nsource: {recipe: 'a.example/base:1'}\n");
    g_autofree char *lost = write_file("lost.yaml", "name: lost\nsource: {recipe: 'a.example/base:2'}\n");
    g_autofree char *file = write_file("file.yaml", "name: file\nsource: {recipe: './a.example/base:1'}\n");
    g_autoptr(json_t) values = ingot_json_pack("{s:s, s:s}", "mirror", "b", "word", "***");
    RecipeFetched fetched = {
        .path = base, .folder = folder, .image = (char *)"a.example/base@sha256:0", .values = values};
    const char *const word[] = {"word=hush", NULL}, *const both[] = {"word=hush", "mirror=c", NULL};
    RecipeInputs inputs = {.vars = word, .fetch = fetch, .fetch_user = &fetched};
    g_autoptr(RecipeSet) set = load("web", &inputs);
    expect_good(set);
    assert_string_equal(variable(set, 0, "mirror"), "b");
    const RecipeMember *parent = g_ptr_array_index(set->members, 0), *child = g_ptr_array_index(set->members, 1);
    assert_string_equal(parent->recipe->image, fetched.image);
    assert_null(child->recipe->image);
    assert_ptr_equal(child->parent, parent);
    inputs.vars = both;
    g_autoptr(RecipeSet) given = load("web", &inputs);
    assert_string_equal(variable(given, 0, "mirror"), "c");
    inputs.vars = NULL;
    g_autofree char *secret = mistakes_of("web", &inputs);
    assert_non_null(strstr(secret, ": the value that the image was built with is not kept"));
    g_autofree char *none = mistakes_of("lost", &inputs);
    assert_string_equal(none, "lost.yaml:2:18: 'recipe': there is no a.example/base:2");
    g_autofree char *path = mistakes_of("file", &inputs);
    assert_non_null(strstr(path, "file.yaml:2:18: "));
    inputs.fetch = NULL;
    g_autoptr(RecipeSet) words = load("web", &inputs);
    expect_good(words);
}

/* A recipe of that text, which came with an image into the folder "kept"; values: those of its build, or NULL. */
static char *mistakes_of_fetched(const char *text, json_t *values)
{
    g_autofree char *base = write_file("kept/base.yaml", text), *kept = g_build_filename(folder, "kept", NULL);
    g_autofree char *web = write_file("web.yaml", "name: web\nsource: {recipe: 'a.example/base:1'}\n");
    RecipeFetched fetched = {
        .path = base, .folder = kept, .image = (char *)"a.example/base@sha256:0", .values = values};
    const RecipeInputs inputs = {.fetch = fetch, .fetch_user = &fetched};
    g_autoptr(RecipeSet) set = load("web", &inputs);
    g_autoptr(GError) error = NULL;
    return recipe_set_raise(set, &error) ? g_strdup("") : g_strdup(error->message);
}

static void write_kept(void)
{
    g_autofree char *kept = g_build_filename(folder, "kept", NULL), *link = g_build_filename(kept, "link", NULL);
    assert_int_equal(g_mkdir(kept, 0755), 0);
    assert_int_equal(symlink("../secret", link), 0);
    g_autofree char *secret = write_file("secret", "of this host"), *page = write_file("kept/page", "a page");
    g_autofree char *other = write_file("kept/other.yaml", "name: other\nsource: {from: y}\n");
}

/* Another one's recipe neither reads nor writes what is this host's. */
static void the_recipe_of_an_image_is_kept_to_its_folder(void **state)
{
    (void)state;
    write_kept();
    g_autoptr(json_t) none = json_object();
    g_autofree char *good = mistakes_of_fetched("name: base\nsource: {from: y}\nsteps:\n"
                                                "  - {file: {from: page, to: /srv/}}\n"
                                                "  - {file: {from: '${recipe.dir}/./', to: /srv/}}\n"
                                                "  - {script: page}\n",
                                                none);
    assert_string_equal(good, "");
#define FROM_Y "name: base\nsource: {from: y}\n"
#define SHA "0000000000000000000000000000000000000000000000000000000000000000"
    static const struct {
        const char *text, *mistake;
    } cases[] = {
        {FROM_Y "steps: [{file: {from: ../secret, to: /srv/}}]\n", "'../secret': is outside of"},
        {FROM_Y "steps: [{file: {from: link, to: /srv/}}]\n", "'link': is outside of"},
        {FROM_Y "steps: [{file: {from: /etc/passwd, to: /srv/}}]\n", "'/etc/passwd': is outside of"},
        {FROM_Y "steps: [{file: {from: .., to: /srv/}}]\n", "'..': is outside of"},
        {FROM_Y "steps: [{script: ../secret}]\n", "'../secret': is outside of"},
        {FROM_Y "session: {user: u, key: ../secret}\n", "'../secret': is outside of"},
        {"name: base\nsource: {image: {path: ../secret, sha256: " SHA "}}\n", "'../secret': is outside of"},
        {"name: base\nsource: {bootstrap: {suite: sid, mirror: 'file:///srv/m'}}\n", "'mirror': a folder of this host"},
        {"name: base\nsource: {bootstrap: {suite: sid, mirror: 'copy:///srv/m'}}\n", "'mirror': a folder of this host"},
        {FROM_Y "steps: [{file: {from: /a, to: b, direction: down}}]\n", "'direction': a recipe that came"},
        {"name: base\nsource: {recipe: other.yaml}\n", "'recipe': a file of the host where"},
        {"name: base\nsource: {recipe: ../web.yaml}\n", "'recipe': a file of the host where"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *mistakes = mistakes_of_fetched(cases[i].text, none);
        if (strstr(mistakes, cases[i].mistake) == NULL) {
            fail_msg("'%s' is not in:\n%s", cases[i].mistake, mistakes);
        }
    }
}

/* What the environment has is for this host's own recipes. */
static void the_recipe_of_an_image_takes_nothing_from_the_environment(void **state)
{
    (void)state;
    write_kept();
    g_autoptr(json_t) none = json_object();
    g_setenv("INGOT_VAR_token", "of this host", TRUE);
    g_autofree char *required =
        mistakes_of_fetched(FROM_Y "variables: {token: {required: true}}\nsteps: [{shell: '${token}'}]\n", none);
    g_autofree char *fallback =
        mistakes_of_fetched(FROM_Y "variables: {token: gone}\nsteps: [{script: '${token}'}]\n", none);
    g_unsetenv("INGOT_VAR_token");
    assert_non_null(strstr(required, "the variable 'token' is required: set it by --var token=VALUE, in a --var-file "
                                     "(the environment does not count)"));
    assert_non_null(strstr(fallback, "/kept/gone'"));
}

static void what_an_older_image_was_built_with_is_unknown(void **state)
{
    (void)state;
    write_kept();
    g_autofree char *unused = mistakes_of_fetched(FROM_Y "variables: {port: 80}\n", NULL);
    assert_string_equal(unused, "");
    g_autofree char *used =
        mistakes_of_fetched(FROM_Y "variables: {port: 80}\nsteps: [{shell: '${port} ${git.commit}'}]\n", NULL);
    assert_non_null(strstr(used, "'${port}': the value that the image was built with is not kept"));
    assert_non_null(strstr(used, "'${git.commit}': what it stood for when the image was built is not kept"));
}

/* A RecipeFetch of a registry that makes up recipes, each based on the next; user: those that were fetched, of
 * RecipeFetched. */
static const RecipeFetched *fetch_next(const char *reference, gpointer user, GError **error)
{
    (void)reference;
    (void)error;
    GPtrArray *all = user;
    g_autofree char *name = g_strdup_printf("%u.yaml", all->len);
    g_autofree char *text = g_strdup_printf("name: n%u\nsource: {recipe: 'a.example/n:%u'}\n", all->len, all->len + 1);
    RecipeFetched *fetched = g_new0(RecipeFetched, 1);
    fetched->path = write_file(name, text);
    fetched->folder = folder;
    fetched->image = g_strdup_printf("a.example/n@sha256:%u", all->len);
    g_ptr_array_add(all, fetched);
    return fetched;
}

static void fetched_free(gpointer data)
{
    RecipeFetched *fetched = data;
    g_free(fetched->path);
    g_free(fetched->image);
    g_free(fetched);
}

static void a_chain_of_images_has_an_end(void **state)
{
    (void)state;
    g_autofree char *web = write_file("web.yaml", "name: web\nsource: {recipe: 'a.example/n:0'}\n");
    g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(fetched_free);
    const RecipeInputs inputs = {.fetch = fetch_next, .fetch_user = all};
    g_autofree char *mistakes = mistakes_of("web", &inputs);
    assert_int_equal(all->len, 16);
    assert_non_null(strstr(mistakes, "15.yaml:2:18: 'recipe': more than 16 recipes of images, each based on the next: "
                                     "a.example/n@sha256:0 → a.example/n@sha256:1 → "));
    assert_non_null(strstr(mistakes, "a.example/n@sha256:15 → a.example/n:16"));
    /* Each chain counts by itself. */
    g_autofree char *file = write_file("kept.yaml", "name: base\nsource: {from: y}\n");
    RecipeFetched fetched = {.path = file, .folder = folder, .image = (char *)"a.example/base@sha256:0"};
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < 20; i++) {
        g_autofree char *name = g_strdup_printf("own%u.yaml", i);
        g_autofree char *text = g_strdup_printf("name: o%u\nsource: {recipe: 'a.example/base:1'}\n", i);
        g_ptr_array_add(paths, write_file(name, text));
    }
    g_autoptr(RecipeSet) set = recipe_set_load(paths, &(RecipeInputs){.fetch = fetch, .fetch_user = &fetched});
    expect_good(set);
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
    g_autoptr(RecipeSet) option = load("web", &(RecipeInputs){.vars = vars});
    expect_good(option);
    assert_string_equal(variable(option, 0, "mirror"), "b");
    assert_string_equal(variable(option, 1, "port"), "80");
    g_autoptr(RecipeSet) file = load("web", &(RecipeInputs){.var_files = files});
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
    g_autofree char *several = mistakes_of("web", &(RecipeInputs){.vars = vars});
    assert_string_equal(several,
                        "--var: the recipes have no variable 'mirrors' (did you mean 'mirror'?); known: mirror, port");
    g_autofree char *alone = mistakes_of("base", &(RecipeInputs){.vars = vars});
    assert_string_equal(alone, "--var: the recipe has no variable 'mirrors' (did you mean 'mirror'?); known: mirror");
}

static void a_variable_whose_declaration_is_broken_is_not_refused(void **state)
{
    (void)state;
    g_autofree char *path = write_file("a.yaml", "name: a\nvariables: {mirror: [}\nsource: {from: y}\n");
    const char *const vars[] = {"mirror=b", NULL};
    g_autofree char *mistakes = mistakes_of("a", &(RecipeInputs){.vars = vars});
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
                                           "three.yaml:2:18: the recipe is based on itself: three.yaml → three.yaml",
                                           "values.yaml:1:4: 'a': expected"};
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
        TEST(sets_a_variable_that_a_parent_alone_has),
        TEST(a_parent_may_have_come_with_an_image),
        TEST(the_recipe_of_an_image_is_kept_to_its_folder),
        TEST(the_recipe_of_an_image_takes_nothing_from_the_environment),
        TEST(what_an_older_image_was_built_with_is_unknown),
        TEST(a_chain_of_images_has_an_end),
        TEST(sets_a_variable_that_one_of_a_folder_has),
        TEST(refuses_a_variable_that_none_has),
        TEST(a_variable_whose_declaration_is_broken_is_not_refused),
        TEST(lists_the_mistakes_of_all_and_each_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
