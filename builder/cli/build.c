#include <ingot/error.h>
#include <stdio.h>
#include <string.h>

#include "bake/bake.h"
#include "base/command.h"
#include "base/file.h"
#include "base/terminal.h"
#include "base/text.h"
#include "cache/evict.h"
#include "cache/house.h"
#include "cli/fetchedrecipe.h"
#include "cli/inputs.h"
#include "cli/outcome.h"
#include "cli/requirement.h"
#include "cli/timelimit.h"
#include "graph/graph.h"
#include "graph/room.h"
#include "remote/environment.h"
#include "verbs.h"
#include "walk/sharing.h"

#define NOT_GIVEN G_MININT

typedef struct {
    Inputs given;
    char *tag;
    char *where; /* --for: HOST/NAME */
    char *accel;
    char *on_error;
    char *cache_from, *cache_to;
    char **cache_secrets;
    char *refresh; /* "": all; NULL: nothing */
    char *junit, *log_dir, *timeout, *policy;
    int jobs;
    gboolean no_cache, no_test, allow_revoked, debug, fail_fast, check;
} BuildArguments;

static void arguments_clear(BuildArguments *arguments)
{
    inputs_clear(&arguments->given);
    g_free(arguments->tag);
    g_free(arguments->where);
    g_free(arguments->accel);
    g_free(arguments->on_error);
    g_free(arguments->cache_from);
    g_free(arguments->cache_to);
    g_strfreev(arguments->cache_secrets);
    g_free(arguments->refresh);
    g_free(arguments->junit);
    g_free(arguments->log_dir);
    g_free(arguments->timeout);
    g_free(arguments->policy);
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

/* What -t says: NAME:VERSION. */
static IngotReference *parse_tag(const char *tag, GError **error)
{
    IngotReference *reference = ingot_reference_parse(tag, error);
    if (reference != NULL && (reference->tag == NULL || reference->digest != NULL)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "-t %s: NAME:VERSION is expected", tag);
        g_clear_pointer(&reference, ingot_reference_free);
    }
    return reference;
}

/* What -t says, else the recipe's own name and version. */
static IngotReference *image_name(const Recipe *recipe, const char *tag, GError **error)
{
    return tag != NULL
               ? parse_tag(tag, error)
               : ingot_reference_new(NULL, recipe->name, recipe->version == NULL ? "latest" : recipe->version, NULL);
}

typedef struct {
    const BuildArguments *arguments;
    const Graph *graph;
    BakeOptions options;
} Builder;

static gboolean is_parent(const Graph *graph, const GraphRecipe *one)
{
    gboolean found = FALSE;
    for (guint i = 0; i < graph->recipes->len && !found; i++) {
        found = ((const GraphRecipe *)g_ptr_array_index(graph->recipes, i))->parent == one;
    }
    return found;
}

static gboolean shares_its_name(const Graph *graph, const GraphRecipe *one)
{
    guint count = 0;
    for (guint i = 0; i < graph->recipes->len; i++) {
        const GraphRecipe *other = g_ptr_array_index(graph->recipes, i);
        count += strcmp(other->recipe->name, one->recipe->name) == 0;
    }
    return count > 1;
}

/* The folder for a recipe's logs, with its build.log begun; NULL where none are asked for. */
static gboolean begin_log(const GraphRecipe *one, const Graph *graph, const char *folder, IngotProgress *progress,
                          char **place, GError **error)
{
    if (folder == NULL) {
        return TRUE;
    }
    *place = shares_its_name(graph, one) ? g_build_filename(folder, one->name, one->tag, NULL)
                                         : g_build_filename(folder, one->recipe->name, NULL);
    g_autofree char *log = g_build_filename(*place, "build.log", NULL);
    return ingot_file_make_folder(*place, error) && terminal_progress_log(progress, log, error);
}

/* What a recipe that is based on this one starts from. */
static char *pin(const GraphRecipe *one)
{
    char digest[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&one->manifest.digest, digest);
    return g_strdup_printf("%s:%s@%s", one->name, one->tag, digest);
}

static gboolean bake_one(GraphRecipe *one, const Builder *builder, IngotProgress *progress, GError **error)
{
    BakeOptions options = builder->options;
    g_autofree char *parent = one->parent == NULL ? NULL : pin(one->parent);
    g_autofree char *logs = NULL;
    if (!begin_log(one, builder->graph, builder->arguments->log_dir, progress, &logs, error)) {
        return FALSE;
    }
    options.name = one->name;
    options.tag = one->tag;
    options.parent = parent;
    options.host.progress = progress;
    options.host.report = one->report;
    options.log_dir = logs;
    /* What is built on has to be an image. */
    one->checked_only = builder->arguments->check && one->asked_for && !is_parent(builder->graph, one);
    options.check_only = one->checked_only;
    /* What the others are based on runs again only where all of it is to, and stays the image that it is. */
    options.any_origin = !one->asked_for;
    if (!one->asked_for) {
        options.refresh = g_strcmp0(options.refresh, "") == 0 ? "" : NULL;
    }
    ingot_progress_message(progress, "%s %s:%s from %s", one->checked_only ? "check" : "build", one->name, one->tag,
                           one->recipe->path);
    gboolean ok = bake(one->recipe, &options, &one->manifest, &one->cached, error);
    if (!ok && error != NULL && *error != NULL && logs != NULL) {
        ingot_progress_message(progress, "failed: %s", (*error)->message);
    }
    return ok;
}

/* A GraphBuild. */
static gboolean build_one(GraphRecipe *one, IngotProgress *progress, gpointer user, GError **error)
{
    const Builder *builder = user;
    g_autoptr(IngotReference) name = image_name(one->recipe, one->asked_for ? builder->arguments->tag : NULL, error);
    if (name == NULL) {
        return FALSE;
    }
    one->name = ingot_reference_local_name(name);
    one->tag = g_strdup(name->tag);
    one->report = report_new();
    /* A display of its own, which may write a log. */
    g_autoptr(IngotProgress) own = ingot_progress_child(progress, NULL);
    return bake_one(one, builder, builder->arguments->log_dir != NULL ? own : progress, error);
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

/* Where the build has failed, its own error counts more. */
static gboolean write_junit(const Graph *graph, const char *path, IngotProgress *progress, GError **failure)
{
    GError *problem = NULL;
    if (outcome_write_junit(graph, path, &problem)) {
        return TRUE;
    }
    ingot_progress_message(progress, "--junit: %s", problem->message);
    if (*failure == NULL) {
        g_propagate_error(failure, problem);
    } else {
        g_error_free(problem);
    }
    return FALSE;
}

static gboolean build_all(Graph *graph, const GraphOptions *graph_options, Builder *builder, GError **error)
{
    IngotProgress *progress = ingot_command_progress();
    const BuildArguments *arguments = builder->arguments;
    GError *failure = NULL;
    gboolean ok = graph_run(graph, graph_options, progress, build_one, builder, &failure);
    outcome_summarize(graph, progress);
    if (arguments->junit != NULL) {
        ok = write_junit(graph, arguments->junit, progress, &failure) && ok;
    }
    if (ingot_command_common()->json) {
        outcome_print_json(graph, failure);
    } else {
        outcome_print(graph);
    }
    if (!arguments->no_cache) {
        keep_house(progress);
    }
    if (!ok) {
        g_propagate_error(error, failure);
    }
    return ok;
}

/* Who talks with a person does one thing at a time. */
static guint jobs_of(const BuildArguments *arguments, const BakeOptions *options, const Graph *graph)
{
    if (options->walk.debug || options->walk.on_error != ON_ERROR_ABORT || graph->recipes->len == 1) {
        return 1;
    }
    return arguments->jobs != NOT_GIVEN
               ? (guint)arguments->jobs
               : room_processors(&room_places, MIN(g_get_num_processors(), graph->recipes->len));
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

/* Before anything is built. */
static gboolean refuse_wrong_name(const char *tag, GError **error)
{
    g_autoptr(IngotReference) name = tag == NULL ? NULL : parse_tag(tag, error);
    return tag == NULL || name != NULL;
}

static gboolean refuse_jobs(int jobs, GError **error)
{
    gboolean ok = jobs == NOT_GIVEN || jobs > 0;
    if (!ok) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--jobs %d: a number from 1 on is expected", jobs);
    }
    return ok;
}

static gboolean refuse_shared_name(guint recipes, const char *tag, GError **error)
{
    if (tag != NULL && recipes > 1) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "-t names one image, but %u recipes are given", recipes);
        return FALSE;
    }
    return TRUE;
}

/* What is wrong with a limit is told before the build, not after it. */
static gboolean refuse_cache_size(const BuildArguments *arguments, GError **error)
{
    guint64 limit;
    g_autoptr(GError) problem = NULL;
    if (arguments->no_cache || house_limit(ingot_command_common()->cache, &limit, &problem) ||
        !g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INVALID)) {
        return TRUE;
    }
    g_propagate_error(error, g_steal_pointer(&problem));
    return FALSE;
}

/* Every --cache-secret is the name or number of a step. */
static gboolean refuse_unknown_secrets(const Graph *graph, char **titles, GError **error)
{
    g_autoptr(GPtrArray) recipes = g_ptr_array_new();
    for (guint i = 0; i < graph->recipes->len; i++) {
        g_ptr_array_add(recipes, ((const GraphRecipe *)g_ptr_array_index(graph->recipes, i))->recipe);
    }
    return sharing_check_secrets(recipes, (const char *const *)titles, error);
}

/* GLib would take the word after a bare --refresh for its step, though it may be a recipe. */
static void mark_bare_refresh(char **argv)
{
    for (; *argv != NULL && strcmp(*argv, "--") != 0; argv++) {
        *argv = strcmp(*argv, "--refresh") == 0 ? (char *)"--refresh=" : *argv;
    }
}

/* A word that is no file may have been meant as the step of --refresh. */
static gboolean refuse_step(const GPtrArray *recipes, const char *refresh, GError **error)
{
    for (guint i = 0; g_strcmp0(refresh, "") == 0 && i < recipes->len; i++) {
        const char *path = g_ptr_array_index(recipes, i);
        if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
            g_autofree char *word = ingot_text_word(path);
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                        "%s: there is no such recipe; to run a step and all after it, write --refresh=%s", path, word);
            return FALSE;
        }
    }
    return TRUE;
}

/* *begun: what becomes of the recipes has been printed. options has what the arguments' words mean. */
static gboolean build_graph(const BuildArguments *arguments, Graph *graph, BakeOptions *options, gboolean *begun,
                            GError **error)
{
    const IngotCommon *common = ingot_command_common();
    g_autoptr(IngotReference) cache_from = NULL, cache_to = NULL;
    g_autofree char *why = NULL;
    if (!graph_refuse_twins(graph, arguments->tag, error) ||
        !refuse_unknown_secrets(graph, arguments->cache_secrets, error) ||
        !parse_place(arguments->cache_from, "--cache-from", &cache_from, error) ||
        !parse_place(arguments->cache_to, "--cache-to", &cache_to, error)) {
        return FALSE;
    }
    g_autoptr(IngotStore) store = ingot_store_open(common->store, error);
    const char *answers = arguments->no_cache ? NULL : common->cache;
    if (store == NULL || !machine_accel(arguments->accel, answers, &options->host.accel, &why, error)) {
        return FALSE;
    }
    options->host.store = store;
    options->host.cache = common->cache;
    options->walk.cache_from = cache_from;
    options->walk.cache_to = cache_to;
    options->walk.cache_secrets = (const char *const *)arguments->cache_secrets;
    options->walk.no_cache = arguments->no_cache;
    options->walk.debug = arguments->debug;
    options->refresh = arguments->refresh;
    options->no_test = arguments->no_test;
    ingot_progress_message(ingot_command_progress(), "accelerator: %s", why);
    Builder builder = {.arguments = arguments, .graph = graph, .options = *options};
    const GraphOptions graph_options = {.jobs = jobs_of(arguments, options, graph), .fail_fast = arguments->fail_fast};
    *begun = TRUE;
    return build_all(graph, &graph_options, &builder, error);
}

static gboolean refuse_untested(const BuildArguments *arguments, GError **error)
{
    gboolean ok = arguments->where == NULL || !arguments->no_test;
    if (!ok) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "--for adds tests that have to pass, and --no-test skips them: leave one of the two out");
    }
    return ok;
}

/* What can be said without a look into the recipes. */
static gboolean refuse_arguments(const BuildArguments *arguments, const GPtrArray *recipes, BakeOptions *options,
                                 GError **error)
{
    return refuse_none(recipes, error) && refuse_untested(arguments, error) && refuse_jobs(arguments->jobs, error) &&
           refuse_wrong_name(arguments->tag, error) && refuse_step(recipes, arguments->refresh, error) &&
           refuse_shared_name(recipes->len, arguments->tag, error) &&
           parse_on_error(arguments->on_error, &options->walk.on_error, error) && refuse_cache_size(arguments, error);
}

static gboolean build_recipes(const BuildArguments *arguments, const GPtrArray *recipes, gboolean *begun,
                              GError **error)
{
    BakeOptions options = {0};
    g_autoptr(TimeLimit) limit = NULL;
    if (!refuse_arguments(arguments, recipes, &options, error) ||
        !time_limit_begin(arguments->timeout, &limit, error)) {
        return FALSE;
    }
    RecipeInputs inputs = inputs_of(&arguments->given);
    g_autoptr(FetchedRecipes) fetched = fetched_recipes_new(); /* used until the last build is done */
    inputs.fetch = fetched_recipes_get;
    inputs.fetch_user = fetched;
    g_autoptr(Graph) graph = graph_load(recipes, &inputs, error);
    return graph != NULL && requirement_add(arguments->where, graph, error) &&
           build_graph(arguments, graph, &options, begun, error);
}

/* Where nothing is begun, the report of an earlier build must not stand for this one. */
static gboolean build_reported(const BuildArguments *arguments, const GPtrArray *recipes, gboolean *begun,
                               GError **error)
{
    if (arguments->junit != NULL && !outcome_check_junit(arguments->junit, error)) {
        return FALSE;
    }
    GError *failure = NULL;
    if (build_recipes(arguments, recipes, begun, &failure)) {
        return TRUE;
    }
    g_autoptr(GError) problem = NULL;
    if (!*begun && arguments->junit != NULL && !outcome_refuse_junit(recipes, failure, arguments->junit, &problem)) {
        ingot_progress_message(ingot_command_progress(), "--junit: %s", problem->message);
    }
    g_propagate_error(error, failure);
    return FALSE;
}

static gboolean build_command(int argc, char **argv, gboolean *begun, GError **error)
{
    g_auto(BuildArguments) arguments = {.jobs = NOT_GIVEN};
    const GOptionEntry entries[] = {
        INPUTS_OPTIONS(arguments.given),
        {"tag", 't', 0, G_OPTION_ARG_STRING, &arguments.tag, "Name the image", "NAME:VERSION"},
        FOR_OPTION(arguments.where),
        {"accel", 0, 0, G_OPTION_ARG_STRING, &arguments.accel, "Accelerator: auto, kvm or tcg", "WHAT"},
        {"no-cache", 0, 0, G_OPTION_ARG_NONE, &arguments.no_cache,
         "Take nothing from the cache, and leave nothing there", NULL},
        {"refresh", 0, 0, G_OPTION_ARG_STRING, &arguments.refresh,
         "Run all steps again, or with =STEP (number or name) that step and all after it", "[STEP]"},
        {"cache-from", 0, 0, G_OPTION_ARG_STRING, &arguments.cache_from, "Fetch snapshots from this registry",
         "HOST/NAME"},
        {"cache-to", 0, 0, G_OPTION_ARG_STRING, &arguments.cache_to, "Push snapshots to this registry", "HOST/NAME"},
        {"cache-secret", 0, 0, G_OPTION_ARG_STRING_ARRAY, &arguments.cache_secrets,
         "Also push the snapshot taken after STEP (number or name), even though it contains a secret", "STEP"},
        {"allow-revoked", 0, 0, G_OPTION_ARG_NONE, &arguments.allow_revoked,
         "Build on an image that its registry has revoked or disabled", NULL},
        {"policy", 0, 0, G_OPTION_ARG_FILENAME, &arguments.policy,
         "Which images may be built on, signed by whom (policy.json)", "FILE"},
        {"no-test", 0, 0, G_OPTION_ARG_NONE, &arguments.no_test, "Skip the recipe's tests", NULL},
        {"check", 0, 0, G_OPTION_ARG_NONE, &arguments.check, "Run steps and tests; seal nothing and store no image",
         NULL},
        {"jobs", 'j', 0, G_OPTION_ARG_INT, &arguments.jobs,
         "Build up to N recipes in parallel (default: as processors and memory allow)", "N"},
        {"fail-fast", 0, 0, G_OPTION_ARG_NONE, &arguments.fail_fast, "Begin no other recipe once one has failed", NULL},
        {"timeout", 0, 0, G_OPTION_ARG_STRING, &arguments.timeout, "End the build after this time (90s, 30m, 2h)",
         "TIME"},
        {"junit", 0, 0, G_OPTION_ARG_FILENAME, &arguments.junit,
         "Write a JUnit report of the tests, also when the build fails or a recipe is not valid", "FILE"},
        {"log-dir", 0, 0, G_OPTION_ARG_FILENAME, &arguments.log_dir,
         "Keep the build's log and the machines' consoles in DIR/NAME (DIR/NAME/VERSION where recipes share a name)",
         "DIR"},
        {"debug", 0, 0, G_OPTION_ARG_NONE, &arguments.debug,
         "Pause before each step; nothing is kept from the first pause on", NULL},
        {"on-error", 0, 0, G_OPTION_ARG_STRING, &arguments.on_error,
         "What happens to the machine when a step fails: abort, ask (nothing is kept after a retry) or keep", "WHAT"},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GPtrArray) recipes = g_ptr_array_new_with_free_func(g_free);
    mark_bare_refresh(argv);
    if (!ingot_command_options(&verb_build, entries, 0, -1, &argc, &argv, error)) {
        return FALSE;
    }
    environment_use_policy(arguments.policy);
    if (arguments.allow_revoked) {
        environment_allow_revoked();
    }
    for (int i = 1; i < argc; i++) {
        g_ptr_array_add(recipes, g_strdup(argv[i]));
    }
    return build_reported(&arguments, recipes, begun, error);
}

static gboolean run(int argc, char **argv, GError **error)
{
    gboolean begun = FALSE;
    GError *failure = NULL;
    if (build_command(argc, argv, &begun, &failure)) {
        return TRUE;
    }
    if (!begun && ingot_command_common()->json) {
        g_autoptr(GPtrArray) none = g_ptr_array_new();
        outcome_print_json(&(Graph){.recipes = none}, failure);
    }
    g_propagate_error(error, failure);
    return FALSE;
}

const IngotVerb verb_build = {
    "build", "RECIPE...", "bake images from recipes into the local store",
    "Makes or fetches the source, boots a machine from it, runs the steps, seals the disk, boots and tests the sealed "
    "image,\n"
    "and puts it into the local store. After each step a snapshot of the machine is kept, disk and memory; the next "
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
    "RECIPE may be a folder: all its *.yaml and *.yml. A recipe that another one is based on (source: {recipe: FILE}) "
    "is\n"
    "built first; {recipe: HOST/NAME@DIGEST} is the recipe that an image of a registry carries.\n"
    "The step of --refresh follows a '=': a word after a bare --refresh is a recipe.\n"
    "\n"
    "With --for, what the pipeline of the name that the image is for requires of every build is fetched from its "
    "registry\n"
    "and added: tests that have to pass as well, and outputs. The image says so, and the gate `required` asks for it.\n"
    "\n"
    "With --json, one object on stdout says what became of each recipe and each step, also when the build fails.\n"
    "\n"
    "Examples:\n"
    "  ingot build recipes/debian-12.yaml recipes/web.yaml\n"
    "  ingot build web.yaml --var channel=beta -t team/web:1.2.0\n"
    "  ingot build web.yaml --refresh=install    run the step `install` and all after it again\n"
    "  ingot build web.yaml --for registry.example/team/web   with the tests that its pipeline requires\n"
    "  ingot build recipes/ --jobs 2 --junit report.xml --log-dir logs --timeout 2h\n"
    "  ingot build web.yaml --on-error=keep      look into the machine that failed\n"
    "  ingot build web.yaml --check              run steps and tests, make no image\n",
    run};
