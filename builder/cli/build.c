#include <ingot/command.h>
#include <ingot/error.h>
#include <ingot/text.h>
#include <stdio.h>
#include <string.h>

#include "bake/bake.h"
#include "cache/evict.h"
#include "cache/house.h"
#include "cli/inputs.h"
#include "graph/graph.h"
#include "verbs.h"
#include "walk/sharing.h"

typedef struct {
    Inputs given;
    char *tag;
    char *accel;
    char *on_error;
    char *cache_from, *cache_to;
    char **cache_secrets;
    int jobs;
    gboolean no_cache, no_test, debug;
} BuildArguments;

static void arguments_clear(BuildArguments *arguments)
{
    inputs_clear(&arguments->given);
    g_free(arguments->tag);
    g_free(arguments->accel);
    g_free(arguments->on_error);
    g_free(arguments->cache_from);
    g_free(arguments->cache_to);
    g_strfreev(arguments->cache_secrets);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BuildArguments, arguments_clear)

static gboolean parse_on_error(const char *text, OnError *mode, GError **error)
{
    static const char *const words[] = {"abort", "ask", "keep", NULL};
    for (guint i = 0; words[i] != NULL; i++) {
        if (g_strcmp0(text == NULL ? "abort" : text, words[i]) == 0) {
            *mode = (OnError)i;
            return TRUE;
        }
    }
    g_autofree char *hint = ingot_text_suggestion(text, words);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--on-error: '%s' is none of abort, ask, keep%s", text, hint);
    return FALSE;
}

/* What -t says, else the recipe's own name and version. */
static IngotReference *image_name(const Recipe *recipe, const char *tag, GError **error)
{
    if (tag == NULL) {
        return ingot_reference_new(NULL, recipe->name, recipe->version == NULL ? "latest" : recipe->version, NULL);
    }
    IngotReference *reference = ingot_reference_parse(tag, error);
    if (reference != NULL && (reference->tag == NULL || reference->digest != NULL)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "-t %s: NAME:VERSION is expected", tag);
        g_clear_pointer(&reference, ingot_reference_free);
    }
    return reference;
}

typedef struct {
    const BuildArguments *arguments;
    BakeOptions options;
} Builder;

/* What a recipe that is based on this one starts from. */
static char *pin(const GraphRecipe *one)
{
    char digest[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&one->manifest.digest, digest);
    return g_strdup_printf("%s:%s@%s", one->name, one->tag, digest);
}

/* A GraphBuild. */
static gboolean build_one(GraphRecipe *one, IngotProgress *progress, gpointer user, GError **error)
{
    const Builder *builder = user;
    BakeOptions options = builder->options;
    g_autoptr(IngotReference) name = image_name(one->recipe, one->asked_for ? builder->arguments->tag : NULL, error);
    if (name == NULL) {
        return FALSE;
    }
    g_autofree char *parent = one->parent == NULL ? NULL : pin(one->parent);
    one->name = name->host == NULL ? g_strdup(name->name) : g_strdup_printf("%s/%s", name->host, name->name);
    one->tag = g_strdup(name->tag);
    options.name = one->name;
    options.tag = one->tag;
    options.parent = parent;
    options.host.progress = progress;
    /* What the others are based on is made anew only where that was asked for. */
    if (!one->asked_for) {
        options.refresh = g_strcmp0(options.refresh, "") == 0 ? "" : NULL;
    }
    ingot_progress_message(progress, "build %s:%s from %s", one->name, one->tag, one->recipe->path);
    return bake(one->recipe, &options, &one->manifest, &one->cached, error);
}

static void print_result(const GraphRecipe *one)
{
    char digest[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&one->manifest.digest, digest);
    if (ingot_command_common()->quiet) {
        printf("%s\n", digest);
    } else {
        printf("%s:%s %s%s\n", one->name, one->tag, digest, one->cached ? " (nothing changed)" : "");
    }
}

/* One line for each recipe, on stderr: the results alone go to stdout. */
static void summarize(const Graph *graph, IngotProgress *progress)
{
    static const char *const words[] = {"", "", "built", "FAILED", "skipped"};
    for (guint i = 0; graph->recipes->len > 1 && i < graph->recipes->len; i++) {
        const GraphRecipe *one = g_ptr_array_index(graph->recipes, i);
        g_autofree char *time = ingot_text_duration(one->seconds);
        const char *word = one->state == GRAPH_DONE && one->cached ? "unchanged" : words[one->state];
        ingot_progress_message(progress, "%-10s %8s  %s", word, time, one->recipe->path);
    }
}

/* The cache stays below its limit. What goes wrong there is no reason for a build to fail. */
static void keep_house(IngotProgress *progress)
{
    const char *cache = ingot_command_common()->cache;
    EvictRule rule = {0};
    g_autoptr(GError) problem = NULL;
    g_autoptr(GPtrArray) evicted = house_limit(cache, &rule.most, &problem) ? evict(cache, &rule, &problem) : NULL;
    for (guint i = 0; evicted != NULL && i < evicted->len; i++) {
        const Evicted *one = g_ptr_array_index(evicted, i);
        g_autofree char *size = ingot_text_size(one->bytes), *limit = ingot_text_size(rule.most);
        ingot_progress_message(progress, "the cache is over its limit of %s: evicted %s, %s (%s)", limit, one->what,
                               size, evict_why(one->why));
    }
    if (problem != NULL) {
        ingot_progress_message(progress, "the cache: %s", problem->message);
    }
}

static gboolean build_all(Graph *graph, guint jobs, Builder *builder, GError **error)
{
    IngotProgress *progress = ingot_command_progress();
    gboolean ok = graph_run(graph, jobs, progress, build_one, builder, error);
    summarize(graph, progress);
    for (guint i = 0; i < graph->recipes->len; i++) {
        const GraphRecipe *one = g_ptr_array_index(graph->recipes, i);
        if (one->asked_for && one->state == GRAPH_DONE) {
            print_result(one);
        }
    }
    fflush(stdout);
    keep_house(progress);
    return ok;
}

/* Who talks with a person does one thing at a time. */
static guint jobs_of(const BuildArguments *arguments, const BakeOptions *options, const Graph *graph)
{
    if (options->walk.debug || options->walk.on_error != ON_ERROR_ABORT || graph->recipes->len == 1) {
        return 1;
    }
    return arguments->jobs > 0 ? (guint)arguments->jobs : MIN(g_get_num_processors(), graph->recipes->len);
}

static gboolean parse_place(const char *text, const char *option, IngotReference **place, GError **error)
{
    if (text == NULL) {
        return TRUE;
    }
    *place = ingot_reference_parse(text, error);
    if (*place != NULL && ((*place)->host == NULL || (*place)->tag != NULL || (*place)->digest != NULL)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s %s: HOST/NAME of a registry is expected", option,
                    text);
        return FALSE;
    }
    return *place != NULL;
}

static gboolean refuse_none(const GPtrArray *recipes, GError **error)
{
    if (recipes->len == 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "no recipe is given\nusage: ingot build RECIPE...");
    }
    return recipes->len > 0;
}

static gboolean refuse_shared_name(guint recipes, const char *tag, GError **error)
{
    if (tag != NULL && recipes > 1) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "-t names one image, but %u recipes are given", recipes);
        return FALSE;
    }
    return TRUE;
}

/* Every --cache-secret is the title of a step. */
static gboolean refuse_unknown_secrets(const Graph *graph, char **titles, GError **error)
{
    g_autoptr(GPtrArray) recipes = g_ptr_array_new();
    for (guint i = 0; i < graph->recipes->len; i++) {
        g_ptr_array_add(recipes, ((const GraphRecipe *)g_ptr_array_index(graph->recipes, i))->recipe);
    }
    return sharing_check_secrets(recipes, (const char *const *)titles, error);
}

/* --refresh, alone ("") or with a step. GLib gives callbacks of main options no data of ours. */
static char *refresh;
static gboolean take_refresh(const char *name, const char *value, gpointer data, GError **error)
{
    (void)name, (void)data, (void)error;
    g_free(refresh);
    refresh = g_strdup(value == NULL ? "" : value);
    return TRUE;
}

/* `--refresh web.yaml` means all of that recipe: GLib has taken the word for the option's. */
static void give_back_recipe(GPtrArray *recipes)
{
    if (refresh != NULL && *refresh != '\0' && g_file_test(refresh, G_FILE_TEST_EXISTS)) {
        g_ptr_array_insert(recipes, 0, refresh);
        refresh = g_strdup("");
    }
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_auto(BuildArguments) arguments = {0};
    const GOptionEntry entries[] = {
        INPUTS_OPTIONS(arguments.given),
        {"tag", 't', 0, G_OPTION_ARG_STRING, &arguments.tag, "Call the image so", "NAME:VERSION"},
        {"accel", 0, 0, G_OPTION_ARG_STRING, &arguments.accel, "auto, kvm or tcg", "WHAT"},
        {"no-cache", 0, 0, G_OPTION_ARG_NONE, &arguments.no_cache,
         "Take nothing from the cache, and leave nothing there", NULL},
        {"refresh", 0, G_OPTION_FLAG_OPTIONAL_ARG, G_OPTION_ARG_CALLBACK, take_refresh,
         "Run all steps anew, or those from STEP (number or name) on", "STEP"},
        {"cache-from", 0, 0, G_OPTION_ARG_STRING, &arguments.cache_from, "Fetch kept machines from this registry too",
         "HOST/NAME"},
        {"cache-to", 0, 0, G_OPTION_ARG_STRING, &arguments.cache_to, "Push kept machines to this registry",
         "HOST/NAME"},
        {"cache-secret", 0, 0, G_OPTION_ARG_STRING_ARRAY, &arguments.cache_secrets,
         "Also push the machine that is kept after STEP, though it saw a secret", "STEP"},
        {"no-test", 0, 0, G_OPTION_ARG_NONE, &arguments.no_test, "Leave the recipe's tests out", NULL},
        {"jobs", 'j', 0, G_OPTION_ARG_INT, &arguments.jobs,
         "Build so many recipes at once (as processors and memory allow)", "N"},
        {"debug", 0, 0, G_OPTION_ARG_NONE, &arguments.debug, "Pause before each step", NULL},
        {"on-error", 0, 0, G_OPTION_ARG_STRING, &arguments.on_error, "abort, ask or keep the machine", "WHAT"},
        G_OPTION_ENTRY_NULL,
    };
    BakeOptions options = {0};
    g_autoptr(GPtrArray) recipes = g_ptr_array_new_with_free_func(g_free);
    if (!ingot_command_options(&verb_build, entries, 0, -1, &argc, &argv, error)) {
        return FALSE;
    }
    for (int i = 1; i < argc; i++) {
        g_ptr_array_add(recipes, g_strdup(argv[i]));
    }
    give_back_recipe(recipes);
    if (!refuse_none(recipes, error) || !refuse_shared_name(recipes->len, arguments.tag, error) ||
        !parse_on_error(arguments.on_error, &options.walk.on_error, error)) {
        return FALSE;
    }
    const IngotCommon *common = ingot_command_common();
    const RecipeInputs inputs = inputs_of(&arguments.given);
    g_autoptr(Graph) graph = graph_load(recipes, &inputs, error);
    if (graph == NULL || !graph_refuse_twins(graph, arguments.tag, error) ||
        !refuse_unknown_secrets(graph, arguments.cache_secrets, error)) {
        return FALSE;
    }
    g_autoptr(IngotStore) store = ingot_store_open(common->store, error);
    g_autofree char *why = NULL;
    if (store == NULL || !machine_accel(arguments.accel, common->cache, &options.host.accel, &why, error)) {
        return FALSE;
    }
    options.host.store = store;
    options.host.cache = common->cache;
    g_autoptr(IngotReference) cache_from = NULL, cache_to = NULL;
    if (!parse_place(arguments.cache_from, "--cache-from", &cache_from, error) ||
        !parse_place(arguments.cache_to, "--cache-to", &cache_to, error)) {
        return FALSE;
    }
    options.walk.cache_from = cache_from;
    options.walk.cache_to = cache_to;
    options.walk.cache_secrets = (const char *const *)arguments.cache_secrets;
    options.walk.no_cache = arguments.no_cache;
    options.refresh = refresh;
    options.no_test = arguments.no_test;
    options.walk.debug = arguments.debug;
    ingot_progress_message(ingot_command_progress(), "accelerator: %s", why);
    Builder builder = {.arguments = &arguments, .options = options};
    return build_all(graph, jobs_of(&arguments, &options, graph), &builder, error);
}

const IngotVerb verb_build = {
    "build", "RECIPE...", "bake images from recipes into the local store",
    "The source is made or fetched, a machine boots it and runs the steps, the disk is sealed, the sealed image is "
    "booted and\n"
    "tested, and the image lands in the local store. After each step the machine is kept, disk and memory; the next "
    "build\n"
    "goes on right before the first step that changed (`ingot plan` tells which, and why). A step counts as changed "
    "with one\n"
    "byte of its text or of a file that it reads, whether git ignores that file or not; a file that cannot be read is "
    "an\n"
    "error. A step that calls a package manager is run again when it is a day old, unless its max_age says otherwise.\n"
    "\n"
    "--cache-to pushes the machines that are kept to a registry, as images under NAME:KEY, after a failed step too, "
    "and\n"
    "in place of earlier runs; --cache-from fetches them from there where they fit this host's QEMU. One that saw a "
    "secret\n"
    "stays, unless its step is named; it is found again only where the cache has the same salt (the file `salt`).\n"
    "\n"
    "RECIPE may be a folder: all its *.yaml. A recipe that another one is based on (source: {recipe: FILE}) is built "
    "first.\n"
    "\n"
    "Examples:\n"
    "  ingot build recipes/debian-12.yaml recipes/web.yaml\n"
    "  ingot build web.yaml --var channel=beta -t team/web:1.2.0\n"
    "  ingot build web.yaml --refresh install    run the step `install` and all after it again\n"
    "  ingot build recipes/ --jobs 2\n"
    "  ingot build web.yaml --on-error=keep      look into the machine that failed\n",
    run};
