/* What the machine writes to: layers in the folders of nodes that are yet to be, and how those become nodes. */
#include <glib/gstdio.h>
#include <ingot/error.h>
#include <string.h>

#include "base/file.h"
#include "cache/draft.h"
#include "cache/memory.h"
#include "cache/nvram.h"
#include "machine/overlay.h"
#include "machine/state.h"
#include "walk/inside.h"

#define SPOOL_MOST (G_GUINT64_CONSTANT(4) << 30) /* bytes of a machine's memory: more may have to wait for the disk */

/* A node on its way to the disk, and the turn that ends when it is there. */
typedef struct {
    NodeDraft *draft;
    Node *node;
    IngotLock *turn;
    IngotFd spool; /* of its memory, which is not a file yet; -1: none */
} Publication;

/* --- nodes --- */

static void publication_free(Publication *publication)
{
    node_free(publication->node);
    ingot_lock_release(publication->turn);
    ingot_fd_clear(&publication->spool);
    g_free(publication);
}

static gboolean finish_memory(const Publication *publication, GError **error)
{
    g_autofree char *path = draft_file(publication->draft, NODE_MEMORY);
    return publication->spool < 0 || memory_compress(publication->spool, path, error);
}

/* Once one has failed, those after it have nothing to stand on. */
static void publish(gpointer data, gpointer user)
{
    Publication *publication = data;
    Walk *walk = user;
    GError *problem = NULL;
    if (g_atomic_pointer_get(&walk->publishing_failed) == NULL &&
        !(finish_memory(publication, &problem) && draft_publish(publication->draft, publication->node, &problem))) {
        g_atomic_pointer_set(&walk->publishing_failed, problem);
    }
    publication_free(publication);
}

/* Said once: a build without nodes is only slower the next time. */
void layers_stop_keeping(Walk *walk, const GError *problem)
{
    if (walk->keeping) {
        ingot_progress_message(walk->in.host->progress, "nothing more is kept for later builds: %s", problem->message);
    }
    walk->keeping = FALSE;
}

static void check_publisher(Walk *walk)
{
    const GError *problem = g_atomic_pointer_get(&walk->publishing_failed);
    if (problem != NULL) {
        layers_stop_keeping(walk, problem);
    }
}

/* Waits for all nodes that are being written. */
void layers_settle(Walk *walk)
{
    if (walk->publisher != NULL) {
        g_thread_pool_free(g_steal_pointer(&walk->publisher), FALSE, TRUE);
        check_publisher(walk);
    }
}

/* --- layers --- */

/* The node that the next layers will be, or NULL where none will be. */
static NodeDraft *next_draft(Walk *walk)
{
    g_autoptr(GError) problem = NULL;
    NodeDraft *draft =
        walk->keeping ? draft_new(walk->in.host->cache, ingot_workdir_path(walk->in.workdir), &problem) : NULL;
    if (problem != NULL) {
        layers_stop_keeping(walk, problem);
    }
    if (draft != NULL) {
        g_ptr_array_add(walk->drafts, draft);
    }
    return draft;
}

/* In the folder of the node that is yet to be, or else in the work folder. Free it. */
static char *layer_path(Walk *walk, NodeDraft *draft, const char *disk)
{
    g_autofree char *name = g_strdup_printf("layer-%08x-%s", g_random_int(), disk);
    return draft != NULL ? draft_layer(draft, disk) : ingot_workdir_file(walk->in.workdir, name);
}

/* The layer of the node that the build goes on from; NULL: there is no node. Free it. */
static char *node_layer(const Walk *walk, const char *disk)
{
    return walk->from == NULL ? NULL : node_file(walk->from, disk);
}

/* A new layer over what lies below it. */
static gboolean layer_over(const NodeDraft *draft, const char *path, const char *below, const char *format,
                           guint64 size, GError **error)
{
    g_autofree char *backing = draft == NULL ? g_strdup(below) : draft_backing(draft, path, below);
    return overlay_create(path, backing, format, size, error);
}

/* The same for the n-th further disk, which starts empty. */
static gboolean add_further(Walk *walk, NodeDraft *draft, guint n, GError **error)
{
    g_autofree char *name = g_strdup_printf(NODE_DISK_N, n + 1);
    g_autofree char *path = layer_path(walk, draft, name), *node_disk = node_layer(walk, name);
    const char *below = n < walk->further->len ? g_ptr_array_index(walk->further, n) : node_disk;
    if (!(below != NULL ? layer_over(draft, path, below, "qcow2", 0, error)
                        : overlay_empty(path, recipe_machine(walk->in.recipe).disks[n], error))) {
        return FALSE;
    }
    if (n < walk->further->len) {
        g_free(walk->further->pdata[n]);
        walk->further->pdata[n] = g_steal_pointer(&path);
    } else {
        g_ptr_array_add(walk->further, g_steal_pointer(&path));
    }
    return TRUE;
}

/* A new layer over each disk that was written to so far, or over where the build starts. */
gboolean layers_add(Walk *walk, GError **error)
{
    NodeDraft *draft = next_draft(walk);
    g_autofree char *path = layer_path(walk, draft, NODE_DISK), *node_disk = node_layer(walk, NODE_DISK);
    const char *below = walk->disk != NULL ? walk->disk : node_disk;
    if (!(below != NULL ? layer_over(draft, path, below, "qcow2", 0, error)
                        : layer_over(draft, path, walk->in.source->path, walk->in.source->format,
                                     recipe_machine(walk->in.recipe).disk, error))) {
        return FALSE;
    }
    g_free(walk->disk);
    walk->disk = g_steal_pointer(&path);
    for (guint i = 0; i < recipe_machine(walk->in.recipe).disk_count; i++) {
        if (!add_further(walk, draft, i, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

void layers_forget(Walk *walk)
{
    g_ptr_array_set_size(walk->drafts, 0);
    g_clear_pointer(&walk->disk, g_free);
    g_ptr_array_set_size(walk->further, 0);
}

/* What a machine that failed may have written right behind the node is not to be built on. */
gboolean layers_renew(Walk *walk, GError **error)
{
    layers_forget(walk);
    return layers_add(walk, error);
}

/* The node that the newest draft becomes, but for its files. */
static Node *describe(const Walk *walk)
{
    Node *node = node_new();
    node->below = g_strdup(walk->below);
    node->source = g_strdup(walk->in.source->path);
    node->recipe = g_strdup(walk->in.recipe->name);
    node->clean = walk->clean;
    node->secret = walk->secret;
    for (guint i = 0; i < walk->runs->len; i++) {
        g_ptr_array_add(node->runs, node_run_copy(g_ptr_array_index(walk->runs, i)));
    }
    return node;
}

/* Into a spool, for the publisher to compress, or else at once into the node's file. */
static gboolean take_memory(Walk *walk, Publication *publication, GError **error)
{
    guint64 size = recipe_machine(walk->in.recipe).memory;
    if (size <= SPOOL_MOST) {
        publication->spool = memory_spool(walk->machine, size, ingot_workdir_path(walk->in.workdir), NULL);
    }
    g_autofree char *path = draft_file(publication->draft, NODE_MEMORY);
    return publication->spool >= 0 || memory_save(walk->machine, path, error);
}

/* The stopped machine's memory, and with it the variables of its firmware. */
static gboolean save_memory(Walk *walk, Publication *publication, GError **error)
{
    if (!take_memory(walk, publication, error)) {
        return FALSE;
    }
    json_object_set_new(publication->node->files, NODE_MEMORY, json_null());
    publication->node->fingerprint = g_strdup(walk->fingerprint);
    return !recipe_machine(walk->in.recipe).uefi ||
           nvram_keep(walk->machine, publication->draft, publication->node, error);
}

static gboolean move_to_layers(Walk *walk, GError **error)
{
    g_autoptr(GPtrArray) paths = g_ptr_array_new();
    g_ptr_array_add(paths, walk->disk);
    g_ptr_array_extend(paths, walk->further, NULL, NULL);
    g_ptr_array_add(paths, NULL);
    return machine_layer(walk->machine, (const char *const *)paths->pdata, error);
}

/* Whether the machine goes on after the moment that was saved. One that is on its way down, or does not answer, would
 * end again whenever its memory is loaded. */
static gboolean goes_on(Walk *walk)
{
    gboolean stopping;
    guint64 due;
    return guest_is_stopping(walk->guest, &stopping, &due, NULL) && !stopping;
}

/* The node has the disk alone. */
static void forget_memory(Publication *publication)
{
    static const char *const names[] = {NODE_MEMORY, MACHINE_VARIABLES};
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = draft_file(publication->draft, names[i]);
        json_object_del(publication->node->files, names[i]);
        g_remove(path);
    }
    ingot_fd_clear(&publication->spool);
    g_clear_pointer(&publication->node->fingerprint, g_free);
}

/* Between two stages of a running machine: all that was written lies in the layer before, and the guest has stood still
 * for a moment. */
static gboolean freeze_layer(Walk *walk, Publication *publication, gboolean memory, GError **error)
{
    gboolean synced;
    if (!guest_settle(walk->guest, GUEST_SYNC, &synced, error) || !layers_add(walk, error) ||
        !machine_stop(walk->machine, error) || !move_to_layers(walk, error)) {
        return FALSE;
    }
    g_autoptr(GError) problem = NULL;
    if (memory && !save_memory(walk, publication, &problem)) {
        layers_stop_keeping(walk, problem);
    }
    if (!machine_continue(walk->machine, error)) {
        return FALSE;
    }
    if (publication->node->fingerprint != NULL && !goes_on(walk)) {
        forget_memory(publication);
    }
    return TRUE;
}

/* The newest layers become a node, and others take their place. */
gboolean layers_keep(Walk *walk, const PlanStage *stage, GError **error)
{
    /* Of spools there is one at a time. */
    if (walk->spooled) {
        layers_settle(walk);
        walk->spooled = FALSE;
    }
    check_publisher(walk);
    if (!walk->keeping) {
        return TRUE;
    }
    Publication *publication = g_new0(Publication, 1);
    publication->spool = -1;
    publication->draft = g_ptr_array_index(walk->drafts, walk->drafts->len - 1);
    publication->node = describe(walk);
    gboolean memory = stage->keep == PLAN_KEEP_MEMORY && walk->guest != NULL && guest_survives(walk->guest);
    gboolean ok = walk->machine != NULL ? freeze_layer(walk, publication, memory, error) : layers_add(walk, error);
    if (!ok || !walk->keeping) {
        publication_free(publication);
        return ok;
    }
    walk->below = draft_name(publication->draft);
    publication->turn = g_steal_pointer(&walk->turn);
    walk->spooled = publication->spool >= 0;
    if (walk->publisher == NULL) {
        walk->publisher = g_thread_pool_new(publish, walk, 1, TRUE, NULL);
    }
    g_thread_pool_push(walk->publisher, publication, NULL);
    return TRUE;
}
