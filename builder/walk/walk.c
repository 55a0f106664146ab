#include <ingot/error.h>
#include <string.h>

#include "base/process.h"
#include "cache/draft.h"
#include "cache/made.h"
#include "machine/state.h"
#include "walk/inside.h"

#define TURN_USEC (G_USEC_PER_SEC / 5)

/* Back to before anything was done. */
static void reset(Walk *walk)
{
    engine_stop(walk);
    layers_settle(walk);
    g_clear_pointer(&walk->turn, ingot_lock_release);
    g_clear_pointer(&walk->hold, nodes_release);
    g_clear_pointer(&walk->from, node_free);
    layers_forget(walk);
    g_ptr_array_set_size(walk->runs, 0);
    walk->below = NULL;
    walk->clean = FALSE;
    walk->secret = FALSE;
    walk->damaged = FALSE;
    walk->started = FALSE;
    walk->resumed = FALSE;
    walk->torn = FALSE;
}

void walk_free(Walk *walk)
{
    if (walk == NULL) {
        return;
    }
    reset(walk);
    g_ptr_array_unref(walk->drafts);
    g_ptr_array_unref(walk->further);
    g_ptr_array_unref(walk->runs);
    g_ptr_array_unref(walk->made);
    g_hash_table_unref(walk->refused);
    g_clear_error(&walk->publishing_failed);
    g_free(walk->fingerprint);
    g_free(walk);
}

/* --- one stage --- */

/* A file that a later step makes anew is that one's: the earlier one is done, whatever is in it now. */
static void take_over(const Walk *walk, const json_t *made)
{
    for (guint i = 0; json_object_size(made) > 0 && i < walk->runs->len; i++) {
        NodeRun *earlier = g_ptr_array_index(walk->runs, i);
        json_t *rest = made_without(earlier->made, made);
        json_decref(earlier->made);
        earlier->made = rest;
    }
}

static void note_run(Walk *walk, const PlanStage *stage, gint64 began)
{
    NodeRun run = {.key = stage->key,
                   .title = stage->title,
                   .ran = g_get_real_time() / G_USEC_PER_SEC,
                   .seconds = (double)(g_get_monotonic_time() - began) / G_USEC_PER_SEC};
    g_autoptr(json_t) made = stage->product == NULL ? NULL : made_list(walk->made);
    run.made = made;
    take_over(walk, made);
    g_autofree char *id = g_strdup_printf("%08x%08x", g_random_int(), g_random_int());
    run.id = id;
    g_ptr_array_add(walk->runs, node_run_copy(&run));
    report_step(walk->in.host->report, stage->title, REPORT_RAN, run.seconds);
    walk->secret |= stage->secret;
}

/* A file that was edited since the plan was made would be kept, and shared, under the key of its old bytes. */
static gboolean check_files(const PlanStage *stage, GError **error)
{
    if (!plan_check_files(stage, error)) {
        g_prefix_error(error, "step '%s': ", stage->title);
        return FALSE;
    }
    return TRUE;
}

static gboolean run_stage(Walk *walk, const PlanStage *stage, GError **error)
{
    gint64 began = g_get_monotonic_time();
    if (!(stage->offline ? engine_need_rest(walk, error) : engine_need(walk, error))) {
        return FALSE;
    }
    /* What starting the machine takes belongs to the stage that is nothing else. */
    if (stage->step != NULL) {
        began = g_get_monotonic_time();
    }
    if (!stage->kind->run(walk, stage, error) || !check_files(stage, error)) {
        double seconds = (double)(g_get_monotonic_time() - began) / G_USEC_PER_SEC;
        report_step(walk->in.host->report, stage->title, REPORT_FAILED, seconds);
        return FALSE;
    }
    note_run(walk, stage, began);
    walk->clean |= stage->offline;
    if (stage->shutdown && walk->machine != NULL && !engine_shut_down(walk, error)) {
        return FALSE;
    }
    return stage->keep == PLAN_KEEP_NOTHING || layers_keep(walk, stage, error);
}

/* --- the whole --- */

/* Takes the stage's turn; *waited: another build had it, and may have left a node. */
static gboolean take_turn(Walk *walk, const PlanStage *stage, gboolean *waited, GError **error)
{
    GError *problem = NULL;
    *waited = FALSE;
    g_clear_pointer(&walk->turn, ingot_lock_release);
    while (walk->keeping && (walk->turn = nodes_turn(walk->in.host->cache, &stage->key, &problem)) == NULL) {
        if (problem != NULL) {
            layers_stop_keeping(walk, problem);
            g_error_free(problem);
            return TRUE;
        }
        if (!*waited) {
            ingot_progress_message(walk->in.host->progress, "another build runs '%s': waiting for it", stage->title);
            engine_stop(walk);
            layers_settle(walk);
        }
        *waited = TRUE;
        if (!ingot_interrupt_check(error)) {
            return FALSE;
        }
        g_usleep(TURN_USEC);
    }
    return TRUE;
}

static gboolean hold_node(Walk *walk, const Node *node, GError **error)
{
    walk->hold = nodes_hold(walk->in.host->cache, node, error);
    if (walk->hold == NULL) {
        return FALSE;
    }
    walk->from = node_read(node->folder, error);
    if (walk->from == NULL) {
        return FALSE;
    }
    for (guint i = 0; i < walk->from->runs->len; i++) {
        const NodeRun *run = g_ptr_array_index(walk->from->runs, i);
        g_ptr_array_add(walk->runs, node_run_copy(run));
        report_step(walk->in.host->report, run->title, REPORT_CACHED, run->seconds);
    }
    walk->below = node_name(walk->from);
    walk->clean = walk->from->clean;
    walk->secret = walk->from->secret;
    return TRUE;
}

/* Not taken again by this build. A damaged one is removed as well; one that has gone meanwhile, or is being removed, is
 * nothing to speak of. */
static void refuse(Walk *walk, const Node *node, const GError *problem)
{
    g_hash_table_add(walk->refused, g_strdup(node->folder));
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
        ingot_progress_message(walk->in.host->progress, "what was kept after '%s' is discarded: %s",
                               node_run(node)->title, problem->message);
        nodes_remove(node->folder);
    }
}

static GPtrArray *usable_nodes(const Walk *walk, GError **error)
{
    GPtrArray *nodes = nodes_list(walk->in.host->cache, error);
    for (guint i = nodes == NULL ? 0 : nodes->len; i-- > 0;) {
        if (g_hash_table_contains(walk->refused, ((const Node *)g_ptr_array_index(nodes, i))->folder)) {
            g_ptr_array_remove_index(nodes, i);
        }
    }
    return nodes;
}

/* Goes on from the deepest node that is whole; none is no error. */
static gboolean find_node(Walk *walk, GError **error)
{
    for (;;) {
        g_autoptr(GPtrArray) nodes = usable_nodes(walk, error);
        const Node *node = nodes == NULL ? NULL
                                         : nodes_best(nodes, walk->in.plan, walk->in.source->path, walk->in.refresh,
                                                      g_get_real_time() / G_USEC_PER_SEC);
        g_autoptr(GError) problem = NULL;
        if (node == NULL || hold_node(walk, node, &problem)) {
            return nodes != NULL;
        }
        reset(walk);
        refuse(walk, node, problem);
        if (!ingot_interrupt_check(error)) {
            return FALSE;
        }
    }
}

/* Without a node the first stage is the boot, which is put off where it is not needed yet. */
static guint first_missing(const Walk *walk)
{
    const Plan *plan = walk->in.plan;
    if (walk->from != NULL) {
        return (guint)plan_find_key(plan, &node_run(walk->from)->key) + 1;
    }
    return plan_leads_on(plan, 0) ? 0 : 1;
}

/* One way through the stages. *again: another build has got ahead, look once more for what it has left. */
static gboolean run_all(Walk *walk, gboolean *again, GError **error)
{
    const Plan *plan = walk->in.plan;
    *again = FALSE;
    report_clear_steps(walk->in.host->report);
    if (walk->keeping && !find_node(walk, error)) {
        return FALSE;
    }
    for (guint i = first_missing(walk); i < plan->stages->len; i++) {
        const PlanStage *stage = plan_stage(plan, i);
        if (!take_turn(walk, stage, again, error)) {
            return FALSE;
        }
        if (*again) {
            return TRUE;
        }
        if ((walk->disk == NULL && !layers_add(walk, error)) || !run_stage(walk, stage, error)) {
            return FALSE;
        }
    }
    g_clear_pointer(&walk->turn, ingot_lock_release);
    if ((walk->disk == NULL && !layers_add(walk, error)) ||
        (plan->stages->len > 1 && !walk->clean && !(engine_need(walk, error) && engine_rest(walk, error)))) {
        return FALSE;
    }
    return TRUE;
}

gboolean walk_keeps(const WalkInput *input)
{
    g_autofree char *own = g_strconcat(ingot_workdir_path(input->workdir), "/", NULL);
    return !input->options->no_cache && !(input->source != NULL && g_str_has_prefix(input->source->path, own));
}

static Walk *walk_new(const WalkInput *input, GError **error)
{
    Walk *walk = g_new0(Walk, 1);
    walk->in = *input;
    walk->keeping = walk_keeps(input);
    walk->drafts = g_ptr_array_new_with_free_func((GDestroyNotify)draft_free);
    walk->further = g_ptr_array_new_with_free_func(g_free);
    walk->runs = g_ptr_array_new_with_free_func(node_run_free);
    walk->made = g_ptr_array_new_with_free_func(g_free);
    walk->refused = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    MachineOptions options = walk_machine_options(input->recipe, input->host, input->key);
    walk->fingerprint = machine_fingerprint(&options, error);
    if (walk->fingerprint == NULL) {
        g_clear_pointer(&walk, walk_free);
    }
    return walk;
}

Walk *walk_run(const WalkInput *input, GError **error)
{
    g_autoptr(Walk) walk = walk_new(input, error);
    if (walk == NULL) {
        return NULL;
    }
    for (;;) {
        gboolean again;
        GError *problem = NULL;
        if (run_all(walk, &again, &problem) && !again) {
            return g_steal_pointer(&walk);
        }
        /* Without that node, then. Damage that a step meets elsewhere is the step's. */
        if (walk->damaged) {
            g_autoptr(Node) node = node_read(walk->from->folder, NULL);
            reset(walk);
            if (node != NULL) {
                refuse(walk, node, problem);
                g_clear_error(&problem);
                continue;
            }
        }
        /* Once, from the node's disk, where nodes are still looked for: what ended the machine may have been in the
         * memory, left by an earlier step. */
        if (walk->torn && walk->keeping && !walk->distrusted && ingot_interrupt_check(NULL)) {
            ingot_progress_message(walk->in.host->progress,
                                   "the resumed machine went down in the middle of a step: the build goes on from the "
                                   "disk alone");
            g_clear_error(&problem);
            walk->distrusted = TRUE;
        }
        if (problem != NULL) {
            g_propagate_error(error, problem);
            return NULL;
        }
        reset(walk);
    }
}

Walk *walk_visit(const WalkInput *input, guint stage, GError **error)
{
    g_autoptr(Walk) walk = walk_new(input, error);
    g_autoptr(GPtrArray) nodes = walk == NULL ? NULL : nodes_list(input->host->cache, error);
    if (nodes == NULL) {
        return NULL;
    }
    const Node *node = nodes_newest(nodes, plan_stage(input->plan, stage));
    if (node == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND,
                    "nothing is kept after '%s' as the recipe is now; `ingot plan` lists what is",
                    plan_stage(input->plan, stage)->title);
        return NULL;
    }
    walk->keeping = FALSE; /* the new layer lies in the work folder */
    return hold_node(walk, node, error) && layers_add(walk, error) && engine_need(walk, error) ? g_steal_pointer(&walk)
                                                                                               : NULL;
}

void walk_settle(Walk *walk)
{
    layers_settle(walk);
}

const char *walk_disk(const Walk *walk)
{
    return walk->disk;
}

Machine *walk_machine(Walk *walk)
{
    return walk->machine;
}

Guest *walk_guest(Walk *walk)
{
    return walk->guest;
}

gboolean walk_let_in(const Walk *walk)
{
    return walk->let_in;
}

const GPtrArray *walk_runs(const Walk *walk)
{
    return walk->runs;
}
