/* What the machine writes to: layers in the folders of nodes that are yet to be, and how those become nodes. */
#include <ingot/error.h>
#include <string.h>

#include "bake/enter.h"
#include "bake/inside.h"
#include "cache/draft.h"
#include "cache/memory.h"
#include "machine/overlay.h"
#include "machine/state.h"

/* A node on its way to the disk, and the turn that ends when it is there. */
typedef struct {
    NodeDraft *draft;
    Node *node;
    IngotLock *turn;
} Publication;

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
void layers_stop_keeping(Stages *stages, const GError *problem)
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
        layers_stop_keeping(stages, problem);
    }
}

/* Waits for all nodes that are being written. */
void layers_settle(Stages *stages)
{
    if (stages->publisher != NULL) {
        g_thread_pool_free(g_steal_pointer(&stages->publisher), FALSE, TRUE);
        check_publisher(stages);
    }
}

/* --- layers --- */

/* In the folder of a node that is yet to be, or, where none will be, in the work folder. Free it. */
static char *layer_path(Stages *stages)
{
    g_autoptr(GError) problem = NULL;
    NodeDraft *draft =
        stages->keeping ? draft_new(stages->in.options->cache, ingot_workdir_path(stages->in.workdir), &problem) : NULL;
    if (problem != NULL) {
        layers_stop_keeping(stages, problem);
    }
    if (draft != NULL) {
        g_ptr_array_add(stages->drafts, draft);
        return g_strdup(draft_disk(draft));
    }
    g_autofree char *name = g_strdup_printf("layer-%08x.qcow2", g_random_int());
    return ingot_workdir_file(stages->in.workdir, name);
}

/* A new layer over the disk that was written to so far, or over where the build starts. */
gboolean layers_add(Stages *stages, GError **error)
{
    g_autofree char *path = layer_path(stages);
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
gboolean layers_renew(Stages *stages, GError **error)
{
    g_ptr_array_set_size(stages->drafts, 0);
    g_clear_pointer(&stages->disk, g_free);
    return layers_add(stages, error);
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
    if (!guest_script(stages->guest, "sync", NULL, error) || !layers_add(stages, error) ||
        !machine_stop(stages->machine, error) || !machine_layer(stages->machine, stages->disk, error)) {
        return FALSE;
    }
    g_autoptr(GError) problem = NULL;
    if (memory && !save_memory(stages, publication, &problem)) {
        layers_stop_keeping(stages, problem);
    }
    return machine_continue(stages->machine, error);
}

/* The newest layer becomes a node, and another one takes its place. */
gboolean layers_keep(Stages *stages, const PlanStage *stage, GError **error)
{
    check_publisher(stages);
    if (!stages->keeping) {
        return TRUE;
    }
    Publication *publication = g_new0(Publication, 1);
    publication->draft = g_ptr_array_index(stages->drafts, stages->drafts->len - 1);
    publication->node = describe(stages);
    gboolean memory = stage->keep == PLAN_KEEP_MEMORY && stages->guest != NULL && guest_survives(stages->guest);
    gboolean ok =
        stages->machine != NULL ? freeze_layer(stages, publication, memory, error) : layers_add(stages, error);
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
