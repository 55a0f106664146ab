#include <ingot/error.h>
#include <ingot/transfer.h>
#include <stdio.h>

#include "base/command.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/keptrecipe.h"
#include "remote/environment.h"
#include "transfer/asks.h"
#include "verbs.h"

/* Of the store's image, or by the registry alone: no disk is fetched for it. */
static gboolean find_recipe(IngotReference *reference, IngotPull pull, KeptRecipe *recipe, GError **error)
{
    g_autoptr(IngotStore) store = ingot_store_open_lazy(ingot_command_common()->store);
    g_autoptr(GError) problem = NULL;
    g_autoptr(IngotStoreEntry) entry = pull == INGOT_PULL_ALWAYS ? NULL : ingot_store_find(store, reference, &problem);
    if (entry != NULL) {
        return kept_recipe_of_store(store, &entry->manifest, recipe, error);
    }
    if (!ingot_pull_asks(pull, reference, problem)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    IngotDescriptor image;
    g_autoptr(IngotRemote) remote = environment_remote(reference->host, error);
    g_autoptr(GBytes) manifest =
        remote == NULL ? NULL : ingot_transfer_image_manifest(remote, reference, &image, error);
    return manifest != NULL && kept_recipe_of_registry(remote, reference->name, &image.digest, recipe, error);
}

/* What is there already is not mixed with what comes. */
static gboolean refuse_used(const char *folder, GError **error)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    gboolean used = g_file_test(folder, G_FILE_TEST_EXISTS) && (dir == NULL || g_dir_read_name(dir) != NULL);
    if (used) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: there is something already; name a new folder with -o", folder);
    }
    return !used;
}

/* How a build of the recipe gives the same image. */
static void print_variables(const KeptRecipe *recipe)
{
    const char *name;
    json_t *value;
    json_object_foreach(recipe->variables, name, value)
    {
        const char *text = json_string_value(value);
        g_autofree char *word = g_strconcat(name, "=", text == NULL ? "" : text, NULL);
        g_autofree char *quoted = g_shell_quote(word), *shown = ingot_text_line(quoted);
        ingot_progress_message(ingot_command_progress(), "it was built with %s", shown);
    }
}

static void print_recipe(const KeptRecipe *recipe, const char *path)
{
    g_auto(GStrv) lines = recipe->left_out == NULL ? g_new0(char *, 1) : g_strsplit(recipe->left_out, "\n", -1);
    if (ingot_command_common()->json) {
        g_autoptr(json_t) left = json_array();
        for (guint i = 0; lines[i] != NULL; i++) {
            json_array_append_new(left, ingot_json_text(lines[i]));
        }
        g_autoptr(json_t) all = ingot_json_pack("{s:o, s:O, s:O?}", "path", ingot_json_text(path), "left_out", left,
                                                "variables", recipe->variables);
        g_autofree char *text = ingot_json_pretty(all);
        fputs(text, stdout);
        return;
    }
    print_variables(recipe);
    for (guint i = 0; lines[i] != NULL; i++) {
        g_autofree char *shown = ingot_text_line(lines[i]);
        ingot_progress_message(ingot_command_progress(), "not in it: %s", shown);
    }
    printf("%s\n", path);
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_autofree char *output = NULL, *when = NULL;
    const GOptionEntry entries[] = {
        {"output", 'o', 0, G_OPTION_ARG_FILENAME, &output, "The new folder (the last part of the image's name)",
         "FOLDER"},
        {"pull", 0, 0, G_OPTION_ARG_STRING, &when,
         "Ask the registry: missing (where the store has none, the default), always, never", "WHEN"},
        G_OPTION_ENTRY_NULL,
    };
    if (!ingot_command_options(&verb_recipe, entries, 1, 1, &argc, &argv, error)) {
        return FALSE;
    }
    IngotPull pull;
    g_autoptr(IngotReference) reference = ingot_reference_parse(argv[1], error);
    if (reference == NULL || !ingot_pull_parse(when, reference, &pull, error)) {
        return FALSE;
    }
    g_autofree char *folder = output == NULL ? g_path_get_basename(reference->name) : g_strdup(output);
    g_auto(KeptRecipe) recipe = {0};
    if (!refuse_used(folder, error) || !find_recipe(reference, pull, &recipe, error)) {
        return FALSE;
    }
    g_autofree char *path = kept_recipe_unpack(&recipe, folder, error);
    if (path == NULL) {
        return FALSE;
    }
    print_recipe(&recipe, path);
    return TRUE;
}

const IngotVerb verb_recipe = {
    "recipe", "REF", "give back the recipe that an image was baked from",
    "Unpacks the recipe that is attached to the image, with the files that its steps read, into a new folder, and "
    "prints\n"
    "the recipe's path. Values of secrets are not in it (they are \"***\" where they stood in its text), and what was\n"
    "left out when the image was baked is listed, and so are the variables that it was built with. Of an image in a "
    "registry no disk is fetched.\n"
    "\n"
    "Examples:\n"
    "  ingot recipe web:1.0.0\n"
    "  ingot recipe registry.example/team/web:prod -o web-as-it-runs\n",
    run};
