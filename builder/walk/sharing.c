#include "walk/sharing.h"

#include <ingot/error.h>
#include <string.h>

#include "cache/nodes.h"
#include "cache/share.h"
#include "machine/state.h"

static Share share_of(const WalkInput *input, const IngotReference *where)
{
    return (Share){.store = input->host->store,
                   .cache = input->host->cache,
                   .workdir = ingot_workdir_path(input->workdir),
                   .where = where,
                   .progress = input->host->progress};
}

/* The number of the deepest stage that is kept here; -1: none. */
static int depth_here(const WalkInput *input, GError **error)
{
    g_autoptr(GPtrArray) nodes = nodes_list(input->host->cache, error);
    if (nodes == NULL) {
        return -1;
    }
    const Node *best =
        nodes_best(nodes, input->plan, input->source->path, input->refresh, g_get_real_time() / G_USEC_PER_SEC);
    return best == NULL ? -1 : plan_find_key(input->plan, &node_run(best)->key);
}

gboolean sharing_fetch(const WalkInput *input, GError **error)
{
    GError *problem = NULL;
    MachineOptions machine = walk_machine_options(input->recipe, input->host, input->key);
    g_autofree char *fingerprint = machine_fingerprint(&machine, error);
    int here = fingerprint == NULL ? -1 : depth_here(input, &problem);
    int deepest = input->refresh >= 0 ? input->refresh - 1 : (int)input->plan->stages->len - 1;
    Share share = share_of(input, input->options->cache_from);
    gboolean found = FALSE;
    for (int stage = deepest; fingerprint != NULL && problem == NULL && !found && stage > here; stage--) {
        found =
            share_pull(&share, input->recipe, input->plan, (guint)stage, input->source->path, fingerprint, &problem);
        if (found) {
            ingot_progress_message(input->host->progress, "taken from %s/%s: the machine after '%s'", share.where->host,
                                   share.where->name, plan_stage(input->plan, (guint)stage)->title);
        }
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return fingerprint != NULL && problem == NULL;
}

static gboolean is_named(const WalkInput *input, const PlanStage *stage)
{
    return input->options->cache_secrets != NULL && g_strv_contains(input->options->cache_secrets, stage->title);
}

static gboolean push_stage(const WalkInput *input, const Share *share, const Node *node, const PlanStage *stage,
                           GError **error)
{
    gboolean pushed = FALSE;
    if (node->secret && !is_named(input, stage)) {
        ingot_progress_message(input->host->progress,
                               "the machine after '%s' saw a secret and stays here (--cache-secret pushes it)",
                               stage->title);
        return TRUE;
    }
    GError *problem = NULL;
    g_autoptr(NodeHold) hold = nodes_hold(input->host->cache, node, &problem);
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        g_error_free(problem); /* dropped meanwhile */
        return TRUE;
    }
    if (hold == NULL || !share_push(share, node, &pushed, &problem)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    if (pushed) {
        ingot_progress_message(input->host->progress, "given to %s/%s: the machine after '%s'", share->where->host,
                               share->where->name, stage->title);
    }
    return TRUE;
}

gboolean sharing_push(const WalkInput *input, GError **error)
{
    g_autoptr(GPtrArray) nodes = nodes_list(input->host->cache, error);
    Share share = share_of(input, input->options->cache_to);
    for (guint i = 0; nodes != NULL && i < input->plan->stages->len; i++) {
        const PlanStage *stage = plan_stage(input->plan, i);
        const Node *node = nodes_newest(nodes, stage);
        if (node != NULL && !push_stage(input, &share, node, stage, error)) {
            return FALSE;
        }
    }
    return nodes != NULL;
}
