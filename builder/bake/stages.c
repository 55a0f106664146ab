#include <ingot/error.h>
#include <ingot/process.h>
#include <string.h>

#include "bake/inside.h"
#include "bake/pause.h"
#include "cache/draft.h"
#include "machine/state.h"
#include "step/offline.h"
#include "step/step.h"

#define TURN_USEC (G_USEC_PER_SEC / 5)

/* Back to before anything was done. */
static void reset(Stages *stages)
{
    engine_stop(stages);
    layers_settle(stages);
    g_clear_pointer(&stages->turn, ingot_lock_release);
    g_clear_pointer(&stages->hold, nodes_release);
    g_clear_pointer(&stages->from, node_free);
    g_ptr_array_set_size(stages->drafts, 0);
    g_ptr_array_set_size(stages->runs, 0);
    g_clear_pointer(&stages->disk, g_free);
    stages->below = NULL;
    stages->clean = FALSE;
    stages->secret = FALSE;
    stages->damaged = FALSE;
}

void stages_free(Stages *stages)
{
    if (stages == NULL) {
        return;
    }
    reset(stages);
    g_ptr_array_unref(stages->drafts);
    g_ptr_array_unref(stages->runs);
    g_hash_table_unref(stages->refused);
    g_clear_error(&stages->publishing_failed);
    g_free(stages->fingerprint);
    g_free(stages);
}

/* --- one stage --- */

typedef struct {
    const Stages *stages;
    const char *title;
} LineContext;

static void show_line(const char *line, gpointer user)
{
    const LineContext *context = user;
    g_autofree char *masked = recipe_mask(context->stages->in.recipe, line);
    ingot_progress_message(context->stages->in.options->progress, "  %s | %s", context->title, masked);
}

static gboolean run_offline(Stages *stages, const PlanStage *stage, LineContext *line, GError **error)
{
    OfflineContext context = {.disk = stages->disk,
                              .format = "qcow2",
                              .cache = stages->in.options->cache,
                              .workdir = ingot_workdir_path(stages->in.workdir),
                              .line = show_line,
                              .user_data = line};
    return offline_run(&context, stage->step, error);
}

static gboolean step_once(Stages *stages, const PlanStage *stage, GError **error)
{
    LineContext line = {.stages = stages, .title = stage->title};
    StepContext context = {.guest = stages->guest, .recipe = stages->in.recipe, .line = show_line, .user_data = &line};
    ingot_progress_begin(stages->in.options->progress, 0, "%s", stage->title);
    if (!(stage->offline ? run_offline(stages, stage, &line, error) : step_run(&context, stage->step, error))) {
        return FALSE;
    }
    ingot_progress_end(stages->in.options->progress, stage->offline ? "offline" : NULL);
    return TRUE;
}

static gboolean run_step(Stages *stages, const PlanStage *stage, GError **error)
{
    const BakeOptions *options = stages->in.options;
    for (;;) {
        GError *failure = NULL;
        if (options->debug && stages->machine != NULL &&
            !pause_before(stage->title, stages->machine, stages->in.key, options->progress, error)) {
            return FALSE;
        }
        if (step_once(stages, stage, &failure)) {
            return TRUE;
        }
        if (stages->machine == NULL ||
            !pause_after_error(options->on_error, failure, stages->machine, stages->in.key, options->progress)) {
            g_autofree char *masked = recipe_mask(stages->in.recipe, failure->message);
            g_set_error(
                error, failure->domain, failure->code, "step '%s': %s%s", stage->title, masked,
                stages->below == NULL || !stages->keeping
                    ? ""
                    : "\nthe machine before it is kept: `ingot shell` looks into it, the next build goes on there");
            g_error_free(failure);
            return FALSE;
        }
        g_clear_error(&failure);
    }
}

static void note_run(Stages *stages, const PlanStage *stage, gint64 began)
{
    NodeRun run = {.key = stage->key,
                   .title = stage->title,
                   .ran = g_get_real_time() / G_USEC_PER_SEC,
                   .seconds = (double)(g_get_monotonic_time() - began) / G_USEC_PER_SEC};
    g_autofree char *id = g_strdup_printf("%08x%08x", g_random_int(), g_random_int());
    run.id = id;
    g_ptr_array_add(stages->runs, node_run_copy(&run));
    stages->secret |= stage->secret;
}

static gboolean run_stage(Stages *stages, const PlanStage *stage, GError **error)
{
    gint64 began = g_get_monotonic_time();
    if (!(stage->offline ? engine_need_rest(stages, error) : engine_need(stages, error))) {
        return FALSE;
    }
    if (stage->step != NULL) {
        began = g_get_monotonic_time();
        if (!run_step(stages, stage, error)) {
            return FALSE;
        }
    }
    note_run(stages, stage, began);
    stages->clean |= stage->offline;
    if (stage->shutdown && !engine_shut_down(stages, error)) {
        return FALSE;
    }
    return stage->keep == PLAN_KEEP_NOTHING || layers_keep(stages, stage, error);
}

/* --- the whole --- */

/* Takes the stage's turn; *waited: another build had it, and may have left a node. */
static gboolean take_turn(Stages *stages, const PlanStage *stage, gboolean *waited, GError **error)
{
    GError *problem = NULL;
    *waited = FALSE;
    g_clear_pointer(&stages->turn, ingot_lock_release);
    while (stages->keeping && (stages->turn = nodes_turn(stages->in.options->cache, &stage->key, &problem)) == NULL) {
        if (problem != NULL) {
            layers_stop_keeping(stages, problem);
            g_error_free(problem);
            return TRUE;
        }
        if (!*waited) {
            ingot_progress_message(stages->in.options->progress, "another build runs '%s': waiting for it",
                                   stage->title);
            engine_stop(stages);
            layers_settle(stages);
        }
        *waited = TRUE;
        if (!ingot_interrupt_check(error)) {
            return FALSE;
        }
        g_usleep(TURN_USEC);
    }
    return TRUE;
}

static gboolean hold_node(Stages *stages, const Node *node, GError **error)
{
    stages->hold = nodes_hold(stages->in.options->cache, node, error);
    if (stages->hold == NULL) {
        return FALSE;
    }
    stages->from = node_read(node->folder, error);
    if (stages->from == NULL) {
        return FALSE;
    }
    for (guint i = 0; i < stages->from->runs->len; i++) {
        g_ptr_array_add(stages->runs, node_run_copy(g_ptr_array_index(stages->from->runs, i)));
    }
    stages->below = node_name(stages->from);
    stages->clean = stages->from->clean;
    stages->secret = stages->from->secret;
    return TRUE;
}

/* Not taken again by this build. A damaged one is removed as well; one that has gone meanwhile, or is being removed, is
 * nothing to speak of. */
static void refuse(Stages *stages, const Node *node, const GError *problem)
{
    g_hash_table_add(stages->refused, g_strdup(node->folder));
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
        ingot_progress_message(stages->in.options->progress, "what was kept after '%s' is discarded: %s",
                               node_run(node)->title, problem->message);
        nodes_remove(node->folder);
    }
}

static GPtrArray *usable_nodes(const Stages *stages, GError **error)
{
    GPtrArray *nodes = nodes_list(stages->in.options->cache, error);
    for (guint i = nodes == NULL ? 0 : nodes->len; i-- > 0;) {
        if (g_hash_table_contains(stages->refused, ((const Node *)g_ptr_array_index(nodes, i))->folder)) {
            g_ptr_array_remove_index(nodes, i);
        }
    }
    return nodes;
}

/* Goes on from the deepest node that is whole; none is no error. */
static gboolean find_node(Stages *stages, GError **error)
{
    for (;;) {
        g_autoptr(GPtrArray) nodes = usable_nodes(stages, error);
        const Node *node = nodes == NULL ? NULL
                                         : nodes_best(nodes, stages->in.plan, stages->in.source->path,
                                                      stages->in.refresh, g_get_real_time() / G_USEC_PER_SEC);
        g_autoptr(GError) problem = NULL;
        if (node == NULL || hold_node(stages, node, &problem)) {
            return nodes != NULL;
        }
        reset(stages);
        refuse(stages, node, problem);
        if (!ingot_interrupt_check(error)) {
            return FALSE;
        }
    }
}

/* Without a node the first stage is the boot, which is put off where it is not needed yet. */
static guint first_missing(const Stages *stages)
{
    const Plan *plan = stages->in.plan;
    if (stages->from != NULL) {
        return (guint)plan_find_key(plan, &node_run(stages->from)->key) + 1;
    }
    return plan->stages->len == 1 || plan_stage(plan, 1)->offline ? 1 : 0;
}

/* One way through the stages. *again: another build has got ahead, look once more for what it has left. */
static gboolean run_all(Stages *stages, gboolean *again, GError **error)
{
    const Plan *plan = stages->in.plan;
    *again = FALSE;
    if (stages->keeping && !find_node(stages, error)) {
        return FALSE;
    }
    for (guint i = first_missing(stages); i < plan->stages->len; i++) {
        const PlanStage *stage = plan_stage(plan, i);
        if (!take_turn(stages, stage, again, error)) {
            return FALSE;
        }
        if (*again) {
            return TRUE;
        }
        if ((stages->disk == NULL && !layers_add(stages, error)) || !run_stage(stages, stage, error)) {
            return FALSE;
        }
    }
    g_clear_pointer(&stages->turn, ingot_lock_release);
    if ((stages->disk == NULL && !layers_add(stages, error)) ||
        (plan->stages->len > 1 && !stages->clean && !(engine_need(stages, error) && engine_rest(stages, error)))) {
        return FALSE;
    }
    return TRUE;
}

static Stages *stages_new(const StagesInput *input, GError **error)
{
    Stages *stages = g_new0(Stages, 1);
    stages->in = *input;
    stages->keeping = !input->options->no_cache;
    stages->drafts = g_ptr_array_new_with_free_func((GDestroyNotify)draft_free);
    stages->runs = g_ptr_array_new_with_free_func(node_run_free);
    stages->refused = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    MachineOptions options = bake_machine(input->recipe, input->options, input->key);
    stages->fingerprint = machine_fingerprint(&options, error);
    if (stages->fingerprint == NULL) {
        g_clear_pointer(&stages, stages_free);
    }
    return stages;
}

Stages *stages_run(const StagesInput *input, GError **error)
{
    g_autoptr(Stages) stages = stages_new(input, error);
    if (stages == NULL) {
        return NULL;
    }
    for (;;) {
        gboolean again;
        GError *problem = NULL;
        if (run_all(stages, &again, &problem) && !again) {
            return g_steal_pointer(&stages);
        }
        /* Without that node, then. Damage that a step meets elsewhere is the step's. */
        if (stages->damaged) {
            g_autoptr(Node) node = node_read(stages->from->folder, NULL);
            reset(stages);
            if (node != NULL) {
                refuse(stages, node, problem);
                g_clear_error(&problem);
                continue;
            }
        }
        if (problem != NULL) {
            g_propagate_error(error, problem);
            return NULL;
        }
        reset(stages);
    }
}

Stages *stages_visit(const StagesInput *input, guint stage, GError **error)
{
    g_autoptr(Stages) stages = stages_new(input, error);
    g_autoptr(GPtrArray) nodes = stages == NULL ? NULL : nodes_list(input->options->cache, error);
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
    stages->keeping = FALSE; /* the new layer lies in the work folder */
    return hold_node(stages, node, error) && layers_add(stages, error) && engine_need(stages, error)
               ? g_steal_pointer(&stages)
               : NULL;
}

void stages_settle(Stages *stages)
{
    layers_settle(stages);
}

const char *stages_disk(const Stages *stages)
{
    return stages->disk;
}

Machine *stages_machine(Stages *stages)
{
    return stages->machine;
}

const GPtrArray *stages_runs(const Stages *stages)
{
    return stages->runs;
}
