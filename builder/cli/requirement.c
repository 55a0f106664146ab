#include "cli/requirement.h"

#include <ingot/error.h>

#include "base/command.h"
#include "base/file.h"
#include "base/text.h"
#include "evidence/requirement.h"
#include "recipe/required.h"
#include "remote/api.h"
#include "remote/environment.h"

#define DIGEST_SHOWN 19 /* "sha256:" and 12 digits */

/* What the registry requires; null: nothing. NULL: it can't be had. */
static json_t *requirement_fetch(const char *where, GError **error)
{
    guint status;
    g_autoptr(IngotReference) name = ingot_reference_parse(where, error);
    if (name == NULL) {
        return NULL;
    }
    if (name->host == NULL || name->tag != NULL || name->digest != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--for %s: HOST/NAME of a registry is expected", where);
        return NULL;
    }
    g_autoptr(IngotRemote) remote = environment_remote(name->host, error);
    g_autofree char *path = g_strdup_printf("%s/pipeline", name->name);
    g_autoptr(json_t) answer = remote == NULL ? NULL : remote_api(remote, "GET", path, NULL, &status, error);
    if (answer == NULL) {
        g_prefix_error(error, "--for %s: ", where);
        return NULL;
    }
    json_t *require = json_object_get(answer, "require");
    return json_is_object(require) ? json_incref(require) : json_null();
}

/* One test's recipe, from its text. Its name is another one's word, and no path. */
static Recipe *test_load(const char *where, const json_t *test, const char *folder, GError **error)
{
    const char *name = json_string_value(json_object_get(test, "name"));
    const char *text = json_string_value(json_object_get(test, "text"));
    if (name == NULL || text == NULL || strchr(name, '/') != NULL || *name == '\0' || *name == '.') {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "--for %s: the registry has a required test without its recipe: apply its pipeline again", where);
        return NULL;
    }
    const RecipeInputs inputs = {.tests_only = TRUE, .defaults_only = TRUE, .within = folder};
    g_autofree char *path = g_build_filename(folder, name, NULL);
    Recipe *recipe =
        ingot_file_replace(path, text, strlen(text), 0600, error) ? recipe_load(path, &inputs, error) : NULL;
    if (recipe == NULL) {
        g_prefix_error(error, "the test %s that %s requires: ", name, where);
    }
    return recipe;
}

/* The recipes of all tests; of Recipe. */
static GPtrArray *tests_load(const char *where, const json_t *require, GError **error)
{
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(error);
    g_autoptr(GPtrArray) recipes = g_ptr_array_new_with_free_func((GDestroyNotify)recipe_free);
    const json_t *tests = json_object_get(require, "tests");
    for (gsize i = 0; workdir != NULL && i < json_array_size(tests); i++) {
        g_autofree char *number = g_strdup_printf("%zu", i), *folder = ingot_workdir_file(workdir, number);
        Recipe *recipe =
            ingot_file_make_folder(folder, error) ? test_load(where, json_array_get(tests, i), folder, error) : NULL;
        if (recipe == NULL) {
            return NULL;
        }
        g_ptr_array_add(recipes, recipe);
    }
    return workdir == NULL ? NULL : g_steal_pointer(&recipes);
}

/* As a recipe keeps it (recipe/required.h). */
static json_t *requirement_kept(const char *where, const json_t *require)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    IngotDigest digest;
    json_t *names = json_array(), *outputs = json_object_get(require, "outputs");
    const json_t *tests = json_object_get(require, "tests");
    for (gsize i = 0; i < json_array_size(tests); i++) {
        const json_t *test = json_array_get(tests, i);
        requirement_test_digest(test, &digest);
        ingot_digest_write_text(&digest, text);
        json_array_append_new(names,
                              ingot_json_pack("{s:O, s:s}", "name", json_object_get(test, "name"), "digest", text));
    }
    requirement_digest(require, &digest);
    ingot_digest_write_text(&digest, text);
    return ingot_json_pack("{s:o, s:s, s:o, s:o}", "pipeline", ingot_json_text(where), "digest", text, "tests", names,
                           "outputs", outputs == NULL ? json_array() : json_deep_copy(outputs));
}

static gboolean requirement_apply(const char *where, const json_t *require, const Graph *graph, GError **error)
{
    g_autoptr(GPtrArray) tests = tests_load(where, require, error);
    g_autoptr(json_t) kept = tests == NULL ? NULL : requirement_kept(where, require);
    gboolean ok = kept != NULL;
    for (guint i = 0; ok && i < graph->recipes->len; i++) {
        const GraphRecipe *one = g_ptr_array_index(graph->recipes, i);
        ok = !one->asked_for || recipe_require(one->recipe, kept, tests, error);
    }
    return ok;
}

gboolean requirement_add(const char *where, const Graph *graph, GError **error)
{
    if (where == NULL) {
        return TRUE;
    }
    g_autoptr(json_t) require = requirement_fetch(where, error);
    if (json_is_null(require)) {
        ingot_progress_message(ingot_command_progress(), "the pipeline of %s requires nothing of a build", where);
        return TRUE;
    }
    return require != NULL && requirement_apply(where, require, graph, error);
}

static void add_names(GString *line, const char *head, const json_t *list, const char *member)
{
    for (gsize i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const char *name = json_string_value(member == NULL ? one : json_object_get(one, member));
        g_string_append_printf(line, "%s%s", i == 0 ? head : ", ", name == NULL ? "?" : name);
    }
}

char *requirement_line(const Recipe *recipe)
{
    if (recipe->required == NULL) {
        return NULL;
    }
    const json_t *tests = json_object_get(recipe->required, "tests");
    g_autoptr(GString) line = g_string_new(json_string_value(json_object_get(recipe->required, "pipeline")));
    g_string_append_printf(line, " requires (%.*s): ", DIGEST_SHOWN,
                           json_string_value(json_object_get(recipe->required, "digest")));
    add_names(line, "tests ", tests, "name");
    add_names(line, json_array_size(tests) > 0 ? "; outputs " : "outputs ",
              json_object_get(recipe->required, "outputs"), NULL);
    return ingot_text_line(line->str);
}
