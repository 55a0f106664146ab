#include <stdio.h>
#include <string.h>

#include "base/command.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/fetchedrecipe.h"
#include "cli/inputs.h"
#include "cli/requirement.h"
#include "prospect/prospect.h"
#include "verbs.h"

#define KEY_SHOWN 12   /* hex digits of a key in the table */
#define TITLE_SHOWN 44 /* columns of a step's title */

static const char *kept_how(const Prospect *prospect, guint stage)
{
    gboolean deepest = stage + 1 == prospect->plan->stages->len || !prospect_stands(prospect, stage + 1);
    return deepest && prospect->best->fingerprint != NULL ? "cached, memory too" : "cached";
}

static void print_stage(const Prospect *prospect, guint i)
{
    const PlanStage *stage = plan_stage(prospect->plan, i);
    const NodeRun *run = prospect_run(prospect, i);
    gboolean stands = prospect_stands(prospect, i);
    char key[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&stage->key, key);
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    g_autofree char *age = run == NULL ? g_strdup("-") : ingot_text_age((double)(now - run->ran));
    g_autofree char *took = run == NULL ? g_strdup("-") : ingot_text_duration(run->seconds);
    g_autofree char *why = stands ? NULL : prospect_why(prospect, i);
    g_autofree char *state = stands ? g_strdup(kept_how(prospect, i)) : g_strconcat("run: ", why, NULL);
    g_autofree char *title = ingot_text_cell(stage->title, TITLE_SHOWN), *line = ingot_text_line(state);
    printf("%3u  %-*.*s  %8s  %8s  %s  %s\n", i, KEY_SHOWN, KEY_SHOWN, key + strlen("sha256:"), age, took, title, line);
}

static json_t *describe_stage(const Prospect *prospect, guint i)
{
    const PlanStage *stage = plan_stage(prospect->plan, i);
    const NodeRun *run = prospect_run(prospect, i);
    gboolean stands = prospect_stands(prospect, i);
    char key[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&stage->key, key);
    g_autofree char *why = stands ? NULL : prospect_why(prospect, i);
    g_autofree char *ran = run == NULL ? NULL : ingot_text_time(run->ran);
    json_t *entry = ingot_json_pack("{s:i, s:s, s:s, s:b, s:b}", "number", i, "title", stage->title, "key", key,
                                    "cached", stands, "secret", stage->secret);
    ingot_json_set_string(entry, "why", why);
    ingot_json_set_string(entry, "ran", ran);
    if (run != NULL) {
        json_object_set_new(entry, "seconds", json_real(run->seconds));
    }
    if (stage->max_age > 0) {
        json_object_set_new(entry, "max_age", json_integer((json_int_t)stage->max_age));
    }
    return entry;
}

static json_t *describe(const GraphRecipe *one, const Prospect *prospect)
{
    json_t *stages = json_array();
    for (guint i = 0; prospect->plan != NULL && i < prospect->plan->stages->len; i++) {
        json_array_append_new(stages, describe_stage(prospect, i));
    }
    json_t *entry = ingot_json_pack("{s:o, s:s, s:b, s:b, s:o}", "recipe", ingot_json_text(one->recipe->path), "name",
                                    one->recipe->name, "image", prospect->image, "source_missing",
                                    prospect->plan == NULL, "stages", stages);
    ingot_json_set_string(entry, "came_with", one->recipe->image);
    if (one->recipe->required != NULL) {
        json_object_set(entry, "required", one->recipe->required);
    }
    ingot_json_set_string(entry, "source_due", prospect->source.due);
    ingot_json_set_string(entry, "source_fetch", prospect->image ? NULL : prospect->source.fetch);
    return entry;
}

static void print(const GraphRecipe *one, const Prospect *prospect)
{
    g_autofree char *required = requirement_line(one->recipe);
    printf("%s (%s)\n", one->recipe->path, one->recipe->name);
    if (one->recipe->image != NULL) {
        printf("     the recipe came with %s\n", one->recipe->image);
    }
    if (prospect->plan == NULL) {
        printf("     all of it is run: %s has to be built first\n", one->parent->recipe->path);
        return;
    }
    printf("%3s  %-*s  %8s  %8s  %-*s  %s\n", "", KEY_SHOWN, "KEY", "AGE", "TOOK", TITLE_SHOWN, "STEP", "STATE");
    for (guint i = 0; i < prospect->plan->stages->len; i++) {
        print_stage(prospect, i);
    }
    if (prospect->source.due != NULL) {
        printf("     source: %s\n", prospect->source.due);
    }
    if (prospect->source.fetch != NULL && !prospect->image) {
        printf("     source: %s\n", prospect->source.fetch);
    }
    if (required != NULL) {
        printf("     %s\n", required);
    }
    printf("     %s%s\n", prospect->image ? "the image is there: nothing has to be done" : "an image will be made",
           prospect->image && prospect->source.due != NULL ? " while the source stays what it is" : "");
}

static gboolean plan_all(const Graph *graph, const BakeOptions *options, GError **error)
{
    g_autoptr(json_t) all = json_array();
    for (guint i = 0; i < graph->recipes->len; i++) {
        const GraphRecipe *one = g_ptr_array_index(graph->recipes, i);
        g_autoptr(Prospect) prospect = prospect_new(one, options, error);
        if (prospect == NULL) {
            return FALSE;
        }
        if (ingot_command_common()->json) {
            json_array_append_new(all, describe(one, prospect));
        } else {
            print(one, prospect);
        }
    }
    if (ingot_command_common()->json) {
        g_autofree char *text = ingot_json_pretty(all);
        fputs(text, stdout);
    }
    return TRUE;
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_auto(Inputs) given = {0};
    g_autofree char *where = NULL;
    const GOptionEntry entries[] = {
        INPUTS_OPTIONS(given),
        FOR_OPTION(where),
        G_OPTION_ENTRY_NULL,
    };
    if (!ingot_command_options(&verb_plan, entries, 1, -1, &argc, &argv, error)) {
        return FALSE;
    }
    const IngotCommon *common = ingot_command_common();
    RecipeInputs inputs = inputs_of(&given);
    g_autoptr(FetchedRecipes) fetched = fetched_recipes_new();
    inputs.fetch = fetched_recipes_get;
    inputs.fetch_user = fetched;
    g_autoptr(GPtrArray) paths = g_ptr_array_new();
    for (int i = 1; i < argc; i++) {
        g_ptr_array_add(paths, argv[i]);
    }
    g_autoptr(Graph) graph = graph_load(paths, &inputs, error);
    g_autoptr(IngotStore) store = ingot_store_open_lazy(common->store);
    const BakeOptions options = {.host = {.store = store, .cache = common->cache}};
    return graph != NULL && requirement_add(where, graph, error) && plan_all(graph, &options, error);
}

const IngotVerb verb_plan = {
    "plan", "RECIPE...", "what a build would do, step by step, and why",
    "For each step its key, how long ago it ran, how long it took (which is what the cache "
    "saves), and whether it will be\n"
    "run: because what it depends on has changed (named), because it is older than it may be, "
    "or because it follows a step\n"
    "that is run. What a build does before that for the source is said too: whether it asks a mirror, what it "
    "downloads, and\n"
    "from where. Nothing is built, and nothing is made. A step depends on all before it, on its text, and on the "
    "names, "
    "modes\n"
    "and bytes of all files that it reads, git-ignored ones too. With --for, what a pipeline adds is shown as well.\n"
    "\n"
    "Examples:\n"
    "  ingot plan recipes/web.yaml\n"
    "  ingot plan recipes/ --json\n",
    run};
