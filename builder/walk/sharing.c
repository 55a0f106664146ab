#include "walk/sharing.h"

#include <ingot/error.h>
#include <string.h>

#include "base/process.h"
#include "base/text.h"
#include "cache/nodes.h"
#include "cache/share.h"
#include "machine/state.h"
#include "step/step.h"

static Share sharing_share(const WalkInput *input, const IngotReference *where, gboolean *answered)
{
    return (Share){.store = input->host->store,
                   .cache = input->host->cache,
                   .workdir = ingot_workdir_path(input->workdir),
                   .where = where,
                   .answered = answered,
                   .progress = input->host->progress};
}

/* One build of a cache at a time passes nodes through the store: another finds what the first has fetched. NULL: an
 * error, or the user has had enough. */
static IngotLock *sharing_lock(const WalkInput *input, GError **error)
{
    g_autofree char *path = g_build_filename(input->host->cache, "share.lock", NULL);
    return ingot_lock_take(path, TRUE, TRUE, error);
}

/* --- in --- */

/* The number of the deepest stage that is kept here; -1: none. */
static gboolean sharing_depth(const WalkInput *input, int *depth, GError **error)
{
    g_autoptr(GPtrArray) nodes = nodes_list(input->host->cache, error);
    if (nodes == NULL) {
        return FALSE;
    }
    const Node *best =
        nodes_best(nodes, input->plan, input->source->path, input->refresh, g_get_real_time() / G_USEC_PER_SEC);
    *depth = best == NULL ? -1 : plan_find_key(input->plan, &node_run(best)->key);
    return TRUE;
}

/* Whether what went wrong is in what the registry has of one stage: it may well have others. */
static gboolean sharing_is_one_node(const GError *problem)
{
    return g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT) ||
           g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND) ||
           g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_TOO_NEW);
}

/* NONE also where what the registry has is of no use, which is said. */
static ShareState sharing_pull_stage(const WalkInput *input, const Share *share, guint stage, const char *fingerprint,
                                     GError **error)
{
    const char *title = plan_stage(input->plan, stage)->title;
    GError *problem = NULL;
    ShareState state = share_pull(share, input->recipe, input->plan, stage, input->source->path, fingerprint, &problem);
    if (state == SHARE_DONE) {
        ingot_progress_message(input->host->progress, "fetched from %s/%s: the machine after '%s'", share->where->host,
                               share->where->name, title);
    }
    if (state == SHARE_FAILED && sharing_is_one_node(problem)) {
        ingot_progress_message(input->host->progress, "the machine after '%s' is not fetched: %s", title,
                               problem->message);
        g_error_free(problem);
        return SHARE_NONE;
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return state;
}

static gboolean sharing_try(const WalkInput *input, const Share *share, GError **error)
{
    MachineOptions machine = walk_machine_options(input->recipe, input->host, input->key);
    g_autofree char *fingerprint = machine_fingerprint(&machine, error);
    g_autoptr(IngotLock) lock = fingerprint == NULL ? NULL : sharing_lock(input, error);
    int here, deepest = input->refresh >= 0 ? input->refresh - 1 : (int)input->plan->stages->len - 1;
    if (lock == NULL || !sharing_depth(input, &here, error)) {
        return FALSE;
    }
    for (int stage = deepest; stage > here && plan_leads_on(input->plan, (guint)stage); stage--) {
        ShareState state = sharing_pull_stage(input, share, (guint)stage, fingerprint, error);
        if (state != SHARE_NONE) {
            return state == SHARE_DONE;
        }
    }
    return TRUE;
}

/* What a registry holds of a machine is one disk. */
static gboolean sharing_is_possible(const WalkInput *input)
{
    if (recipe_machine(input->recipe).disk_count > 0) {
        ingot_progress_message(input->host->progress,
                               "%s: the cache in the registry is not used, it holds no machines with further disks",
                               input->recipe->name);
        return FALSE;
    }
    return TRUE;
}

gboolean sharing_fetch(const WalkInput *input, GError **error)
{
    if (!sharing_is_possible(input)) {
        return TRUE;
    }
    gboolean answered = FALSE;
    const Share share = sharing_share(input, input->options->cache_from, &answered);
    g_autoptr(GError) problem = NULL;
    if (sharing_try(input, &share, &problem)) {
        return TRUE;
    }
    gboolean refused = !answered && (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NETWORK) ||
                                     g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_DENIED));
    if (refused || g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INTERRUPTED)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    ingot_progress_message(input->host->progress, "nothing is fetched from %s/%s: %s", share.where->host,
                           share.where->name, problem->message);
    return TRUE;
}

/* --- out --- */

static gboolean sharing_is_named(const WalkInput *input, const PlanStage *stage)
{
    const char *const *names = input->options->cache_secrets;
    for (; names != NULL && *names != NULL; names++) {
        int found = plan_find(input->plan, *names, NULL);
        if (found >= 0 && plan_stage(input->plan, (guint)found) == stage) {
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean sharing_push_stage(const WalkInput *input, const Share *share, const Node *node, const PlanStage *stage,
                                   GError **error)
{
    if (node->secret && !sharing_is_named(input, stage)) {
        ingot_progress_message(input->host->progress,
                               "the machine after '%s' saw a secret and stays here (--cache-secret pushes it)",
                               stage->title);
        return TRUE;
    }
    GError *problem = NULL;
    ShareState state = share_push(share, input->plan, node, &problem);
    if (state == SHARE_DAMAGED) {
        ingot_progress_message(input->host->progress, "what was kept after '%s' is discarded: %s", stage->title,
                               problem->message);
        g_error_free(problem);
        nodes_remove(node->folder);
        return TRUE;
    }
    if (state == SHARE_FAILED) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    if (state == SHARE_DONE) {
        ingot_progress_message(input->host->progress, "pushed to %s/%s: the machine after '%s'", share->where->host,
                               share->where->name, stage->title);
    }
    return TRUE;
}

gboolean sharing_push(const WalkInput *input, GError **error)
{
    if (!sharing_is_possible(input)) {
        return TRUE;
    }
    g_autoptr(IngotLock) lock = sharing_lock(input, error);
    g_autoptr(GPtrArray) nodes = lock == NULL ? NULL : nodes_list(input->host->cache, error);
    const Share share = sharing_share(input, input->options->cache_to, NULL);
    for (guint i = 0; nodes != NULL && i < input->plan->stages->len; i++) {
        const PlanStage *stage = plan_stage(input->plan, i);
        const Node *node = nodes_newest(nodes, stage);
        if (node != NULL && !sharing_push_stage(input, &share, node, stage, error)) {
            return FALSE;
        }
    }
    return nodes != NULL;
}

/* --- what the user names --- */

/* GPtrArray of char *, ended by NULL. */
static GPtrArray *sharing_titles(const GPtrArray *recipes)
{
    GPtrArray *titles = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < recipes->len; i++) {
        const Recipe *recipe = g_ptr_array_index(recipes, i);
        const json_t *steps = json_object_get(recipe->public_tree, "steps");
        for (size_t n = 0; n < json_array_size(steps); n++) {
            g_ptr_array_add(titles, step_title(json_array_get(steps, n)));
        }
    }
    g_ptr_array_add(titles, NULL);
    return titles;
}

/* How many steps of the recipe a text may mean. *numbered: one of them by its number. */
static guint sharing_count(const Recipe *recipe, const char *text, gboolean *numbered)
{
    const json_t *steps = json_object_get(recipe->public_tree, "steps");
    guint64 number = 0;
    guint count = 0;
    *numbered =
        json_array_size(steps) > 0 && g_ascii_string_to_unsigned(text, 10, 1, json_array_size(steps), &number, NULL);
    for (size_t n = 0; n < json_array_size(steps); n++) {
        g_autofree char *title = step_title(json_array_get(steps, n));
        count += number == n + 1 || strcmp(title, text) == 0;
    }
    return count;
}

static void sharing_refuse_unknown(const GPtrArray *recipes, const char *text, GError **error)
{
    g_autoptr(GPtrArray) known = sharing_titles(recipes);
    g_autofree char *hint = ingot_text_suggestion(text, (const char *const *)known->pdata);
    g_autofree char *list = g_strjoinv("', '", (char **)known->pdata);
    g_autofree char *steps = known->len == 1 ? g_strdup("there is none") : g_strdup_printf("the steps are '%s'", list);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--cache-secret: '%s' is not a step%s; %s", text, hint, steps);
}

/* A name may be that of a step in each of several recipes; a number is told of one alone. */
static gboolean sharing_check_secret(const GPtrArray *recipes, const char *text, GError **error)
{
    guint having = 0, numbers = 0;
    for (guint i = 0; i < recipes->len; i++) {
        const Recipe *recipe = g_ptr_array_index(recipes, i);
        gboolean numbered;
        guint count = sharing_count(recipe, text, &numbered);
        having += count > 0;
        numbers += numbered;
        if (count > 1) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--cache-secret: %s: %u steps are called '%s'; %s",
                        recipe->path, count, text, numbered ? "give that of this name another one" : "use the number");
            return FALSE;
        }
    }
    if (having > 1 && numbers > 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "--cache-secret: several recipes have a step '%s'; use its name", text);
    } else if (having == 0) {
        sharing_refuse_unknown(recipes, text, error);
    }
    return having == 1 || (having > 1 && numbers == 0);
}

gboolean sharing_check_secrets(const GPtrArray *recipes, const char *const *names, GError **error)
{
    for (; names != NULL && *names != NULL; names++) {
        if (!sharing_check_secret(recipes, *names, error)) {
            return FALSE;
        }
    }
    return TRUE;
}
