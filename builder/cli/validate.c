#include <ingot/error.h>
#include <stdio.h>

#include "base/command.h"
#include "base/json.h"
#include "base/process.h"
#include "base/secrets.h"
#include "cli/inputs.h"
#include "recipe/schema.h"
#include "recipe/set.h"
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

static json_t *member_report(const RecipeMember *member)
{
    json_t *entry = json_object();
    g_autofree char *shown = g_filename_display_name(member->given);
    json_object_set_new(entry, "path", json_string(shown));
    json_object_set_new(entry, "valid", json_boolean(member->recipe != NULL));
    json_object_set_new(entry, "mistakes", mistakes_of(member->error));
    if (member->recipe != NULL) {
        json_object_set(entry, "recipe", member->recipe->public_tree);
    }
    return entry;
}

/* The mistakes that are not one recipe's have an entry of their own. */
static void print_json(const RecipeSet *set)
{
    g_autoptr(json_t) report = json_array();
    for (guint i = 0; i < set->members->len; i++) {
        json_array_append_new(report, member_report(g_ptr_array_index(set->members, i)));
    }
    if (set->mistakes->len > 0) {
        json_t *entry = json_object(), *mistakes = json_array();
        for (guint i = 0; i < set->mistakes->len; i++) {
            json_array_append_new(mistakes, json_string(g_ptr_array_index(set->mistakes, i)));
        }
        json_object_set_new(entry, "path", json_null());
        json_object_set_new(entry, "valid", json_false());
        json_object_set_new(entry, "mistakes", mistakes);
        json_array_append_new(report, entry);
    }
    g_autofree char *text = ingot_json_pretty(report);
    fputs(text, stdout);
}

static gboolean validate_all(const GPtrArray *paths, const RecipeInputs *inputs, GError **error)
{
    g_autoptr(RecipeSet) set = recipe_set_load(paths, inputs);
    g_autoptr(GError) mistakes = NULL;
    if (!ingot_interrupt_check(error)) {
        return FALSE;
    }
    recipe_set_find_twins(set);
    gboolean valid = recipe_set_raise(set, &mistakes), quiet = ingot_command_common()->quiet;
    guint wrong = 0;
    for (guint i = 0; i < set->members->len; i++) {
        const RecipeMember *member = g_ptr_array_index(set->members, i);
        wrong += member->recipe == NULL;
        if (member->recipe != NULL && member->asked_for && !quiet && !ingot_command_common()->json) {
            g_autofree char *shown = g_filename_display_name(member->given);
            printf("%s: valid\n", shown);
        }
    }
    if (ingot_command_common()->json) {
        print_json(set);
    }
    if (!valid) {
        g_autofree char *shown = ingot_secrets_clean(mistakes->message);
        g_printerr("%s\n", shown);
        if (wrong > 0) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "not valid: %u of %u recipes", wrong,
                        set->members->len);
        } else {
            g_set_error_literal(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                                set->members->len == 0 ? "there is no recipe" : "the recipes do not fit together");
        }
    }
    return valid;
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_auto(Inputs) given = {0};
    gboolean schema = FALSE;
    const GOptionEntry entries[] = {
        INPUTS_OPTIONS(given),
        {"schema", 0, 0, G_OPTION_ARG_NONE, &schema, "Print the JSON Schema of recipes, for editors", NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!ingot_command_options(&verb_validate, entries, 0, -1, &argc, &argv, error)) {
        return FALSE;
    }
    const RecipeInputs inputs = inputs_of(&given);
    if (schema) {
        g_autoptr(json_t) all = recipe_schema();
        g_autofree char *text = ingot_json_pretty(all);
        fputs(text, stdout);
        return TRUE;
    }
    if (argc < 2) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "no recipe is given\nusage: ingot validate RECIPE...");
        return FALSE;
    }
    g_autoptr(GPtrArray) paths = g_ptr_array_new();
    for (int i = 1; i < argc; i++) {
        g_ptr_array_add(paths, argv[i]);
    }
    return validate_all(paths, &inputs, error);
}

const IngotVerb verb_validate = {
    "validate", "RECIPE...", "check recipes and list every mistake in them",
    "Checks each recipe, and those that it is based on, and prints every mistake as FILE:LINE:COLUMN: MESSAGE; nothing "
    "is built.\n"
    "Variables are set as for a build. The exit status is 0 if all recipes are valid, 2 if one is not. With --json, "
    "each\n"
    "recipe's mistakes are printed, or the recipe as Ingot reads it, with all defaults.\n"
    "\n"
    "RECIPE may be a folder: all its *.yaml and *.yml.\n"
    "\n"
    "Examples:\n"
    "  ingot validate recipes/\n"
    "  ingot validate --schema >recipe.schema.json\n"
    "  ingot validate web.yaml --var channel=beta --json\n",
    run};
