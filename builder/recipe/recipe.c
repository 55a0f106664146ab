#include "recipe/recipe.h"

#include <ingot/error.h>
#include <string.h>

#include "base/file.h"
#include "base/process.h"
#include "base/secrets.h"
#include "recipe/check.h"
#include "recipe/urls.h"
#include "yaml/yaml.h"

/* It lands in JSON, which is UTF-8. */
static gboolean check_path(const Recipe *recipe, GError **error)
{
    if (g_utf8_validate(recipe->path, -1, NULL) && g_utf8_validate(recipe->folder, -1, NULL)) {
        return TRUE;
    }
    g_autofree char *shown = g_filename_display_name(recipe->path);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: a recipe's path must be valid UTF-8", shown);
    return FALSE;
}

static gboolean read_text(Recipe *recipe, gsize *size, GError **error)
{
    g_autoptr(GBytes) bytes = ingot_file_read(recipe->path, YAML_MOST_BYTES, error);
    if (bytes == NULL) {
        return FALSE;
    }
    const char *text = g_bytes_get_data(bytes, size);
    recipe->text = g_malloc0(*size + 1);
    if (*size > 0) {
        memcpy(recipe->text, text, *size);
    }
    return TRUE;
}

static void keep_secrets(Recipe *recipe, const GPtrArray *secrets)
{
    for (guint i = 0; i < secrets->len; i++) {
        g_ptr_array_add(recipe->secrets, g_strdup(g_ptr_array_index(secrets, i)));
    }
}

/* A file that is not there has been reported. */
static void find_parent(const Recipe *recipe, const YamlTree *yaml, RecipeFindings *findings)
{
    const json_t *source = json_object_get(recipe->tree, "source");
    const char *path = json_string_value(json_object_get(source, "path"));
    gboolean based = g_strcmp0(json_string_value(json_object_get(source, "kind")), "recipe") == 0;
    g_free(findings->parent);
    findings->parent = based && path != NULL && g_file_test(path, G_FILE_TEST_EXISTS) ? g_strdup(path) : NULL;
    if (findings->parent != NULL) {
        findings->parent_place = yaml_get(yaml_get(yaml->root, "source"), "recipe")->place;
    }
}

/* What ${name} stood for. A path of this host, by ${recipe.dir} in a default, says nothing on another one. */
static json_t *values_of(const Recipe *recipe, const Variables *variables)
{
    json_t *values = json_copy(json_object_get(recipe->public_tree, "variables"));
    gboolean local = strstr(recipe->text, "${recipe.dir}") != NULL;
    const char *name;
    json_t *value;
    void *next;
    json_object_foreach_safe(values, next, name, value)
    {
        if (local && strstr(json_string_value(value), recipe->folder) != NULL) {
            json_object_del(values, name);
        }
    }
    variables_add_asked(variables, values);
    return values;
}

/* The folder that a recipe of somebody else's is kept to; NULL: it is this host's own. */
static const char *inputs_within(const RecipeInputs *inputs)
{
    return inputs == NULL ? NULL : inputs->fetched != NULL ? inputs->fetched->folder : inputs->within;
}

/* Walks what the tests need once more. */
static json_t *chosen_for_tests(Check check, const YamlTree *yaml)
{
    g_autoptr(Diagnostics) unheard = diagnostics_new();
    check.tests_of = yaml->root;
    check.diagnostics = unheard;
    variables_watch(check.variables);
    json_decref(check_tree(&check, yaml->root));
    return variables_chosen(check.variables);
}

/* Walks twice: once with the values, once, when all is well, for what may be shown. */
static gboolean check_text(Recipe *recipe, gsize size, const RecipeInputs *inputs, GError **error)
{
    g_autoptr(Diagnostics) diagnostics = diagnostics_new();
    g_autoptr(YamlTree) yaml = yaml_parse(recipe->text, size, recipe->path, diagnostics);
    g_autoptr(Variables) variables = variables_new(inputs, recipe->folder, diagnostics);
    const RecipeFetched *fetched = NULL;
    Check check = {.folder = recipe->folder,
                   .within = inputs_within(inputs),
                   .variables = variables,
                   .diagnostics = diagnostics,
                   .inputs = inputs,
                   .fetched = &fetched};
    gboolean tests_only = inputs != NULL && (inputs->kept != NULL || inputs->tests_only);
    check.tests_of = tests_only ? yaml->root : NULL;
    check.defaults_count = inputs != NULL && inputs->tests_only;
    if (yaml->root != NULL) {
        check_variables(&check, yaml->root);
        recipe->tree = check_tree(&check, yaml->root);
    }
    if (inputs != NULL && inputs->findings != NULL) {
        find_parent(recipe, yaml, inputs->findings);
        inputs->findings->parent_fetched = fetched;
    }
    if (!ingot_interrupt_check(error) || !diagnostics_raise(diagnostics, variables_secrets(variables), error)) {
        return FALSE;
    }
    check.shown = TRUE;
    recipe->public_tree = check_tree(&check, yaml->root);
    recipe->public_text = variables_shown_text(variables, recipe->text);
    keep_secrets(recipe, variables_secrets(variables));
    urls_hide(recipe);
    recipe->values = values_of(recipe, variables);
    recipe->chosen = chosen_for_tests(check, yaml);
    return TRUE;
}

static Recipe *recipe_new(const char *path)
{
    Recipe *recipe = g_new0(Recipe, 1);
    g_autofree char *folder = g_path_get_dirname(path);
    recipe->path = g_strdup(path);
    recipe->folder = g_canonicalize_filename(folder, NULL);
    recipe->secrets = ingot_secrets_new();
    return recipe;
}

static gboolean fill(Recipe *recipe, const RecipeInputs *inputs, GError **error)
{
    gsize size = 0;
    if (!check_path(recipe, error) || !read_text(recipe, &size, error) || !check_text(recipe, size, inputs, error)) {
        return FALSE;
    }
    recipe->image = inputs == NULL || inputs->fetched == NULL ? NULL : g_strdup(inputs->fetched->image);
    recipe->name = g_strdup(json_string_value(json_object_get(recipe->tree, "name")));
    recipe->version = g_strdup(json_string_value(json_object_get(recipe->tree, "version")));
    return TRUE;
}

Recipe *recipe_load(const char *path, const RecipeInputs *inputs, GError **error)
{
    Recipe *recipe = recipe_new(path);
    if (!fill(recipe, inputs, error)) {
        if (recipe->tree == NULL && inputs != NULL && inputs->findings != NULL) {
            inputs->findings->incomplete = TRUE;
        }
        g_clear_pointer(&recipe, recipe_free);
    }
    return recipe;
}

void recipe_free(Recipe *recipe)
{
    if (recipe == NULL) {
        return;
    }
    g_free(recipe->path);
    g_free(recipe->folder);
    g_free(recipe->text);
    g_free(recipe->public_text);
    g_free(recipe->name);
    g_free(recipe->version);
    json_decref(recipe->tree);
    json_decref(recipe->public_tree);
    json_decref(recipe->values);
    json_decref(recipe->chosen);
    json_decref(recipe->required);
    g_free(recipe->image);
    g_ptr_array_unref(recipe->secrets);
    g_free(recipe);
}

gboolean recipe_is_unchanged(const Recipe *recipe)
{
    g_autoptr(GBytes) bytes = ingot_file_read(recipe->path, YAML_MOST_BYTES, NULL);
    gsize size = bytes == NULL ? 0 : g_bytes_get_size(bytes);
    return bytes != NULL && size == strlen(recipe->text) &&
           (size == 0 || memcmp(g_bytes_get_data(bytes, NULL), recipe->text, size) == 0);
}

char *recipe_mask(const Recipe *recipe, const char *text)
{
    return ingot_secrets_mask(recipe->secrets, text);
}

RecipeMachine recipe_machine(const Recipe *recipe)
{
    const json_t *machine = json_object_get(recipe->tree, "machine");
    const json_t *disks = json_object_get(machine, "disks");
    RecipeMachine shape = {
        .cpus = (guint)json_integer_value(json_object_get(machine, "cpus")),
        .memory = (guint64)json_integer_value(json_object_get(machine, "memory")),
        .disk = (guint64)json_integer_value(json_object_get(machine, "disk")),
        .disk_count = (guint)MIN(json_array_size(disks), RECIPE_DISKS_MAX), /* more are refused by the rules */
        .uefi = strcmp(json_string_value(json_object_get(machine, "firmware")), "uefi") == 0,
    };
    for (guint i = 0; i < shape.disk_count; i++) {
        shape.disks[i] = (guint64)json_integer_value(json_array_get(disks, i));
    }
    return shape;
}

RecipeSession recipe_session(const Recipe *recipe)
{
    const json_t *session = json_object_get(recipe->tree, "session");
    const char *password = json_string_value(json_object_get(session, "password"));
    const char *key = json_string_value(json_object_get(session, "key"));
    return (RecipeSession){
        .given = password != NULL || key != NULL,
        .user = json_string_value(json_object_get(session, "user")),
        .password = password,
        .key_path = key,
        .sudo = json_is_true(json_object_get(session, "sudo")),
        .proxy = g_strcmp0(json_string_value(json_object_get(session, "proxy")), "off") != 0,
    };
}
