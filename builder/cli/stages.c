#include "cli/stages.h"

#include <ingot/error.h>
#include <ingot/process.h>
#include <ingot/text.h>
#include <string.h>

#include "cache/draft.h"
#include "cache/memory.h"
#include "cache/nodes.h"
#include "cli/enter.h"
#include "cli/pause.h"
#include "machine/overlay.h"
#include "machine/state.h"
#include "step/offline.h"
#include "step/step.h"

#define LOGIN_SECONDS 600 /* a slow guest under emulation, first boot of a cloud image included */
#define SHUTDOWN_SECONDS 120
#define TURN_USEC (G_USEC_PER_SEC / 5)

/* A node on its way to the disk, and the turn that ends when it is there. */
typedef struct {
    NodeDraft *draft;
    Node *node;
    IngotLock *turn;
} Publication;

struct Stages {
    StagesInput in;
    char *fingerprint; /* of the machine that this build has */
    gboolean keeping;  /* nodes are kept */
    gboolean secret;   /* a stage has used one */

    Node *from;          /* the node that the build went on from, or NULL */
    NodeHold *hold;      /* on it */
    GPtrArray *drafts;   /* of NodeDraft: every layer since, the newest last */
    const char *below;   /* name of the node whose layer the newest one stands on; NULL: the source's disk */
    char *disk;          /* the newest layer: what is written to */
    gboolean clean;      /* its file systems need no recovery */
    GPtrArray *runs;     /* of NodeRun */
    GHashTable *refused; /* folders of nodes that could not be used */
    guint boots;         /* each has a folder of its own */
    Machine *machine;    /* NULL: none runs */
    Guest *guest;
    IngotLock *turn;           /* to run the stage that is next */
    GThreadPool *publisher;    /* one thread: a node comes after the one below it */
    GError *publishing_failed; /* written by that thread, once, atomically */
};

/* --- nodes --- */

static void publication_free(Publication *publication)
{
    node_free(publication->node);
    ingot_lock_release(publication->turn);
    g_free(publication);
}

/* Once one has failed, those after it have nothing to stand on. */
static void publish(gpointer data, gpointer user)
{
    Publication *publication = data;
    Stages *stages = user;
    GError *problem = NULL;
    if (g_atomic_pointer_get(&stages->publishing_failed) == NULL &&
        !draft_publish(publication->draft, publication->node, &problem)) {
        g_atomic_pointer_set(&stages->publishing_failed, problem);
    }
    publication_free(publication);
}

/* Said once: a build without nodes is only slower the next time. */
static void stop_keeping(Stages *stages, const GError *problem)
{
    if (stages->keeping) {
        ingot_progress_message(stages->in.options->progress, "nothing more is kept for later builds: %s",
                               problem->message);
    }
    stages->keeping = FALSE;
}

static void check_publisher(Stages *stages)
{
    const GError *problem = g_atomic_pointer_get(&stages->publishing_failed);
    if (problem != NULL) {
        stop_keeping(stages, problem);
    }
}

/* Waits for all nodes that are being written. */
static void end_publisher(Stages *stages)
{
    if (stages->publisher != NULL) {
        g_thread_pool_free(g_steal_pointer(&stages->publisher), FALSE, TRUE);
        check_publisher(stages);
    }
}

static void end_machine(Stages *stages)
{
    g_clear_pointer(&stages->guest, guest_free);
    g_clear_pointer(&stages->machine, machine_free);
}

/* Back to before anything was done. */
static void reset(Stages *stages)
{
    end_machine(stages);
    end_publisher(stages);
    g_clear_pointer(&stages->turn, ingot_lock_release);
    g_clear_pointer(&stages->hold, nodes_release);
    g_clear_pointer(&stages->from, node_free);
    g_ptr_array_set_size(stages->drafts, 0);
    g_ptr_array_set_size(stages->runs, 0);
    g_clear_pointer(&stages->disk, g_free);
    stages->below = NULL;
    stages->clean = FALSE;
    stages->secret = FALSE;
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

/* --- layers --- */

/* A new layer over the disk that was written to so far, or over where the build starts. */
static gboolean add_layer(Stages *stages, GError **error)
{
    g_autofree char *path = NULL;
    if (stages->keeping) {
        NodeDraft *draft = draft_new(stages->in.options->cache, ingot_workdir_path(stages->in.workdir), error);
        if (draft == NULL) {
            return FALSE;
        }
        g_ptr_array_add(stages->drafts, draft);
        path = g_strdup(draft_disk(draft));
    } else {
        g_autofree char *name = g_strdup_printf("layer-%u.qcow2", g_random_int());
        path = ingot_workdir_file(stages->in.workdir, name);
    }
    g_autofree char *node_disk = stages->from == NULL ? NULL : node_file(stages->from, NODE_DISK);
    const char *below = stages->disk != NULL ? stages->disk : node_disk;
    if (!(below != NULL ? overlay_create(path, below, "qcow2", 0, error)
                        : overlay_create(path, stages->in.source->path, stages->in.source->format,
                                         recipe_machine(stages->in.recipe).disk, error))) {
        return FALSE;
    }
    g_free(stages->disk);
    stages->disk = g_steal_pointer(&path);
    return TRUE;
}

/* What a machine that failed may have written right behind the node is not to be built on. */
static gboolean renew_layer(Stages *stages, GError **error)
{
    g_ptr_array_set_size(stages->drafts, 0);
    g_clear_pointer(&stages->disk, g_free);
    return add_layer(stages, error);
}

/* The node that the newest draft becomes, but for its files. */
static Node *describe(const Stages *stages)
{
    Node *node = node_new();
    node->below = g_strdup(stages->below);
    node->source = g_strdup(stages->in.source->path);
    node->recipe = g_strdup(stages->in.recipe->name);
    node->clean = stages->clean;
    node->secret = stages->secret;
    for (guint i = 0; i < stages->runs->len; i++) {
        g_ptr_array_add(node->runs, node_run_copy(g_ptr_array_index(stages->runs, i)));
    }
    return node;
}

/* The stopped machine's memory, and with it the variables of its firmware. */
static gboolean save_memory(Stages *stages, Publication *publication, GError **error)
{
    g_autofree char *path = draft_file(publication->draft, NODE_MEMORY);
    if (!memory_save(stages->machine, path, error)) {
        return FALSE;
    }
    json_object_set_new(publication->node->files, NODE_MEMORY, json_null());
    publication->node->fingerprint = g_strdup(stages->fingerprint);
    return !recipe_machine(stages->in.recipe).uefi ||
           enter_keep_variables(stages->machine, publication->draft, publication->node, error);
}

/* Between two stages of a running machine: all that was written lies in the layer before, and the guest has stood still
 * for a moment. */
static gboolean freeze_layer(Stages *stages, Publication *publication, gboolean memory, GError **error)
{
    if (!guest_script(stages->guest, "sync", NULL, error) || !add_layer(stages, error) ||
        !machine_stop(stages->machine, error) || !machine_layer(stages->machine, stages->disk, error)) {
        return FALSE;
    }
    g_autoptr(GError) problem = NULL;
    if (memory && !save_memory(stages, publication, &problem)) {
        stop_keeping(stages, problem);
    }
    return machine_continue(stages->machine, error);
}

/* The newest layer becomes a node, and another one takes its place. */
static gboolean keep(Stages *stages, const PlanStage *stage, GError **error)
{
    check_publisher(stages);
    if (!stages->keeping) {
        return TRUE;
    }
    Publication *publication = g_new0(Publication, 1);
    publication->draft = g_ptr_array_index(stages->drafts, stages->drafts->len - 1);
    publication->node = describe(stages);
    gboolean memory = stage->keep == PLAN_KEEP_MEMORY && stages->guest != NULL && guest_survives(stages->guest);
    gboolean ok = stages->machine != NULL ? freeze_layer(stages, publication, memory, error) : add_layer(stages, error);
    if (!ok || !stages->keeping) {
        publication_free(publication);
        return ok;
    }
    stages->below = draft_name(publication->draft);
    publication->turn = g_steal_pointer(&stages->turn);
    if (stages->publisher == NULL) {
        stages->publisher = g_thread_pool_new(publish, stages, 1, TRUE, NULL);
    }
    g_thread_pool_push(stages->publisher, publication, NULL);
    return TRUE;
}

/* --- the machine --- */

static Machine *start_machine(Stages *stages, gboolean incoming, GError **error)
{
    g_autofree char *name = g_strdup_printf("machine-%u", stages->boots++);
    g_autofree char *folder = ingot_workdir_file(stages->in.workdir, name);
    if (!ingot_file_make_folder(folder, error)) {
        return NULL;
    }
    MachineOptions options = bake_machine(stages->in.recipe, stages->in.options, stages->in.key);
    options.disk = stages->disk;
    options.folder = folder;
    options.incoming = incoming;
    if (incoming && options.uefi && !enter_restore_variables(stages->from, folder, error)) {
        return NULL;
    }
    return machine_start(&options, error);
}

static gboolean boot(Stages *stages, GError **error)
{
    IngotProgress *progress = stages->in.options->progress;
    ingot_progress_begin(progress, 0, "boot (%s)", stages->in.options->accel == MACHINE_KVM ? "kvm" : "tcg");
    stages->machine = start_machine(stages, FALSE, error);
    stages->guest =
        stages->machine == NULL ? NULL : guest_connect(stages->machine, stages->in.key, LOGIN_SECONDS, error);
    if (stages->guest == NULL) {
        return FALSE;
    }
    ingot_progress_end(progress, NULL);
    stages->clean = FALSE;
    return TRUE;
}

static gboolean load(Stages *stages, GError **error)
{
    g_autofree char *memory = node_file(stages->from, NODE_MEMORY);
    const char *checksum = json_string_value(json_object_get(stages->from->files, NODE_MEMORY));
    stages->machine = start_machine(stages, TRUE, error);
    stages->guest = stages->machine == NULL ? NULL : guest_reconnect(stages->machine, error);
    return stages->guest != NULL && memory_load(stages->machine, memory, checksum, error) &&
           machine_continue(stages->machine, error) && enter_resumed(stages->guest, stages->in.key, error);
}

/* Goes on from the node's memory where that fits, else from its disk alone. */
static gboolean resume(Stages *stages, GError **error)
{
    IngotProgress *progress = stages->in.options->progress;
    const char *where = node_run(stages->from)->title;
    if (stages->from->fingerprint == NULL) {
        ingot_progress_message(progress, "after '%s' only the disk was kept", where);
        return boot(stages, error);
    }
    if (strcmp(stages->from->fingerprint, stages->fingerprint) != 0) {
        ingot_progress_message(progress, "after '%s' the disk alone is used: the memory is of another machine (%s)",
                               where, stages->from->fingerprint);
        return boot(stages, error);
    }
    GError *problem = NULL;
    ingot_progress_begin(progress, 0, "resume after '%s'", where);
    if (load(stages, &problem)) {
        ingot_progress_end(progress, NULL);
        stages->clean = FALSE;
        return TRUE;
    }
    end_machine(stages);
    if (!ingot_interrupt_check(NULL) || g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT) ||
        g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NO_SPACE)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    ingot_progress_message(progress, "after '%s' the disk alone is used: %s", where, problem->message);
    g_error_free(problem);
    return renew_layer(stages, error) && boot(stages, error);
}

static gboolean need_machine(Stages *stages, GError **error)
{
    if (stages->machine != NULL) {
        return TRUE;
    }
    /* Right behind the node, nothing has been written yet. */
    gboolean at_node = stages->from != NULL && stages->runs->len == stages->from->runs->len;
    return at_node ? resume(stages, error) : boot(stages, error);
}

static gboolean shut_down(Stages *stages, GError **error)
{
    ingot_progress_begin(stages->in.options->progress, 0, "shut down");
    if (!machine_shutdown(stages->machine, SHUTDOWN_SECONDS, error)) {
        return FALSE;
    }
    ingot_progress_end(stages->in.options->progress, NULL);
    end_machine(stages);
    stages->clean = TRUE;
    return TRUE;
}

/* Leaves a disk whose file systems need no recovery. */
static gboolean rest(Stages *stages, GError **error)
{
    gboolean frozen;
    if (stages->machine == NULL) {
        return TRUE;
    }
    ingot_progress_begin(stages->in.options->progress, 0, "end the machine");
    if (!guest_freeze(stages->guest, &frozen, error)) {
        return FALSE;
    }
    if (!frozen) {
        return shut_down(stages, error);
    }
    if (!machine_quit(stages->machine, error)) {
        return FALSE;
    }
    ingot_progress_end(stages->in.options->progress, "frozen");
    end_machine(stages);
    stages->clean = TRUE;
    return TRUE;
}

/* An offline step works on a disk that nobody else does, and that needs no recovery. */
static gboolean need_rest(Stages *stages, GError **error)
{
    gboolean untouched = stages->from == NULL && stages->runs->len == 0;
    if (stages->clean || (stages->machine == NULL && untouched)) {
        return TRUE;
    }
    return need_machine(stages, error) && rest(stages, error);
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
        if (options->debug && !pause_before(stage->title, stages->machine, stages->in.key, options->progress, error)) {
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
    if (!(stage->offline ? need_rest(stages, error) : need_machine(stages, error))) {
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
    if (stage->shutdown && !shut_down(stages, error)) {
        return FALSE;
    }
    return stage->keep == PLAN_KEEP_NOTHING || keep(stages, stage, error);
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
            stop_keeping(stages, problem);
            g_error_free(problem);
            return TRUE;
        }
        if (!*waited) {
            ingot_progress_message(stages->in.options->progress, "another build runs '%s': waiting for it",
                                   stage->title);
            end_machine(stages);
            end_publisher(stages);
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
        if (!take_turn(stages, stage, again, error) || *again) {
            return !*again ? FALSE : TRUE;
        }
        if ((stages->disk == NULL && !add_layer(stages, error)) || !run_stage(stages, stage, error)) {
            return FALSE;
        }
    }
    g_clear_pointer(&stages->turn, ingot_lock_release);
    if ((stages->disk == NULL && !add_layer(stages, error)) ||
        (plan->stages->len > 1 && !stages->clean && !(need_machine(stages, error) && rest(stages, error)))) {
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
        /* Memory that is damaged shows itself while it is loaded. */
        if (stages->from != NULL && g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
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

/* The newest node of that very stage, however old. */
static const Node *node_of(const GPtrArray *nodes, const PlanStage *stage)
{
    const Node *found = NULL;
    for (guint i = 0; i < nodes->len; i++) {
        const Node *node = g_ptr_array_index(nodes, i);
        if (ingot_digest_equal(&node_run(node)->key, &stage->key) &&
            (found == NULL || node_run(node)->ran > node_run(found)->ran)) {
            found = node;
        }
    }
    return found;
}

Stages *stages_visit(const StagesInput *input, guint stage, GError **error)
{
    g_autoptr(Stages) stages = stages_new(input, error);
    g_autoptr(GPtrArray) nodes = stages == NULL ? NULL : nodes_list(input->options->cache, error);
    if (nodes == NULL) {
        return NULL;
    }
    const Node *node = node_of(nodes, plan_stage(input->plan, stage));
    if (node == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND,
                    "nothing is kept after '%s' as the recipe is now; `ingot plan` lists what is",
                    plan_stage(input->plan, stage)->title);
        return NULL;
    }
    stages->keeping = FALSE; /* the new layer lies in the work folder */
    return hold_node(stages, node, error) && add_layer(stages, error) && need_machine(stages, error)
               ? g_steal_pointer(&stages)
               : NULL;
}

void stages_settle(Stages *stages)
{
    end_publisher(stages);
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
