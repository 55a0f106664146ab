#include <ingot/command.h>
#include <ingot/error.h>
#include <ingot/json.h>
#include <stdio.h>

#include "cli/inputs.h"
#include "recipe/recipe.h"
#include "verbs.h"

/* The mistakes as a list of lines. */
static json_t *mistakes_of(const GError *error)
{
    json_t *list = json_array();
    g_auto(GStrv) lines = g_strsplit(error != NULL ? error->message : "", "\n", -1);
    for (guint i = 0; lines[i] != NULL; i++) {
        if (*lines[i] != '\0') {
            json_array_append_new(list, ingot_json_text(lines[i]));
        }
    }
    return list;
}

/* Tells about one recipe and adds it to the report. */
static gboolean validate(const char *path, const RecipeInputs *inputs, json_t *report)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Recipe) recipe = recipe_load(path, inputs, &error);
    json_t *entry = json_object();
    g_autofree char *shown = g_filename_display_name(path);
    json_object_set_new(entry, "path", json_string(shown));
    json_object_set_new(entry, "valid", json_boolean(recipe != NULL));
    json_object_set_new(entry, "mistakes", mistakes_of(error));
    if (recipe != NULL) {
        json_object_set(entry, "recipe", recipe->public_tree);
    }
    json_array_append_new(report, entry);
    if (recipe == NULL) {
        g_printerr("%s\n", error->message);
    } else if (!ingot_command_common()->quiet && !ingot_command_common()->json) {
        printf("%s: valid\n", shown);
    }
    return recipe != NULL;
}

static gboolean validate_all(char **paths, const RecipeInputs *inputs, GError **error)
{
    g_autoptr(json_t) report = json_array();
    guint wrong = 0, all = 0;
    for (; paths[all] != NULL; all++) {
        wrong += !validate(paths[all], inputs, report);
    }
    if (ingot_command_common()->json) {
        g_autofree char *text = ingot_json_pretty(report);
        fputs(text, stdout);
    }
    if (wrong > 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "not valid: %u of %u recipes", wrong, all);
    }
    return wrong == 0;
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_auto(Inputs) given = {0};
    const GOptionEntry entries[] = {
        INPUTS_OPTIONS(given),
        G_OPTION_ENTRY_NULL,
    };
    if (!ingot_command_options(&verb_validate, entries, 1, -1, &argc, &argv, error)) {
        return FALSE;
    }
    const RecipeInputs inputs = inputs_of(&given);
    return validate_all(argv + 1, &inputs, error);
}

const IngotVerb verb_validate = {"validate", "RECIPE...", "check recipes and list every mistake in them",
                                 "Checks each recipe and prints every mistake in it as FILE:LINE:COLUMN: MESSAGE; "
                                 "nothing is built. Variables are set\n"
                                 "as for a build. The exit status is 0 if all recipes are valid, 2 if one is not. "
                                 "With --json, each recipe's mistakes,\n"
                                 "or the recipe as it was understood, with all defaults, are printed.\n"
                                 "\n"
                                 "Examples:\n"
                                 "  ingot validate recipes/*.yaml\n"
                                 "  ingot validate web.yaml --var channel=beta --json\n",
                                 run};
