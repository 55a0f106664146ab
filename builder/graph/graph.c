#include "graph/graph.h"

#include <ingot/error.h>
#include <string.h>

#include "base/process.h"
#include "graph/room.h"
#include "recipe/set.h"

#define BESIDES (256ull << 20) /* bytes that a build needs besides its machine's memory */

static void graph_recipe_free(gpointer data)
{
    GraphRecipe *one = data;
    g_clear_pointer(&one->recipe, recipe_free);
    g_free(one->path);
    g_free(one->name);
    g_free(one->tag);
    g_clear_error(&one->error);
    report_free(one->report);
    g_free(one->message);
    g_free(one);
}

gboolean graph_refuse_twins(const Graph *graph, const char *tag, GError **error)
{
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; i < graph->recipes->len; i++) {
        const GraphRecipe *one = g_ptr_array_index(graph->recipes, i);
        if (!recipe_set_refuse_twin(names, one->recipe, one->asked_for ? tag : NULL, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

const GraphRecipe *graph_only(const Graph *graph, GError **error)
{
    const GraphRecipe *only = NULL;
    for (guint i = 0; i < graph->recipes->len; i++) {
        const GraphRecipe *one = g_ptr_array_index(graph->recipes, i);
        if (one->asked_for && only != NULL) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                        "one recipe is expected, and there are several: %s, %s", only->recipe->path, one->recipe->path);
            return NULL;
        }
        only = one->asked_for ? one : only;
    }
    g_assert(only != NULL); /* a graph is not loaded without one */
    return only;
}

void graph_free(Graph *graph)
{
    if (graph != NULL) {
        g_ptr_array_unref(graph->recipes);
        g_free(graph);
    }
}

/* --- loading --- */

/* The one made from a member, which comes before those based on it. */
static GraphRecipe *graph_find(const Graph *graph, const RecipeMember *member)
{
    for (guint i = 0; member != NULL && i < graph->recipes->len; i++) {
        GraphRecipe *one = g_ptr_array_index(graph->recipes, i);
        if (strcmp(one->path, member->path) == 0) {
            return one;
        }
    }
    return NULL;
}

Graph *graph_load(const GPtrArray *paths, const RecipeInputs *inputs, GError **error)
{
    g_autoptr(RecipeSet) set = recipe_set_load(paths, inputs);
    if (!recipe_set_raise(set, error)) {
        return NULL;
    }
    Graph *graph = g_new0(Graph, 1);
    graph->recipes = g_ptr_array_new_with_free_func(graph_recipe_free);
    for (guint i = 0; i < set->members->len; i++) {
        RecipeMember *member = g_ptr_array_index(set->members, i);
        GraphRecipe *one = g_new0(GraphRecipe, 1);
        one->path = g_strdup(member->path);
        one->asked_for = member->asked_for;
        one->recipe = g_steal_pointer(&member->recipe);
        one->parent = graph_find(graph, member->parent);
        g_ptr_array_add(graph->recipes, one);
    }
    return graph;
}

/* --- running --- */

typedef struct {
    Graph *graph;
    guint jobs, running;
    gboolean fail_fast;
    guint64 memory; /* bytes that are left for machines */
    IngotProgress *progress;
    GraphBuild build;
    gpointer user;
    GMutex lock;
    GCond changed;
} Run;

typedef struct {
    Run *run;
    GraphRecipe *one;
    guint64 memory; /* taken from run->memory */
} Job;

static guint64 need_of(const GraphRecipe *one)
{
    return recipe_machine(one->recipe).memory + BESIDES;
}

/* The state that it is in then. */
static GraphState build_one(const Run *run, GraphRecipe *one, IngotProgress *progress)
{
    gint64 began = g_get_monotonic_time();
    gboolean ok = run->build(one, progress, run->user, &one->error);
    one->message = one->error == NULL ? NULL : g_strdup(one->error->message);
    one->seconds = (double)(g_get_monotonic_time() - began) / G_USEC_PER_SEC;
    return ok ? GRAPH_DONE : GRAPH_FAILED;
}

static gpointer work(gpointer user)
{
    g_autofree Job *job = user;
    Run *run = job->run;
    g_autoptr(IngotProgress) progress = ingot_progress_child(run->progress, job->one->recipe->name);
    GraphState state = build_one(run, job->one, progress);
    if (job->one->error != NULL) {
        ingot_progress_message(progress, "failed: %s", job->one->error->message);
    }
    g_mutex_lock(&run->lock);
    job->one->state = state;
    run->running--;
    run->memory += job->memory;
    g_cond_broadcast(&run->changed);
    g_mutex_unlock(&run->lock);
    return NULL;
}

static gboolean graph_has_failed(const Graph *graph)
{
    for (guint i = 0; i < graph->recipes->len; i++) {
        if (((const GraphRecipe *)g_ptr_array_index(graph->recipes, i))->state == GRAPH_FAILED) {
            return TRUE;
        }
    }
    return FALSE;
}

/* What can be built now; those that never can are given up on the way. */
static GraphRecipe *next(const Run *run)
{
    for (guint i = 0; i < run->graph->recipes->len; i++) {
        GraphRecipe *one = g_ptr_array_index(run->graph->recipes, i);
        GraphState above = one->parent == NULL ? GRAPH_DONE : one->parent->state;
        if (one->state != GRAPH_WAITING) {
            continue;
        }
        if (above == GRAPH_FAILED || above == GRAPH_SKIPPED || !ingot_interrupt_check(NULL) ||
            (run->fail_fast && graph_has_failed(run->graph))) {
            one->state = GRAPH_SKIPPED;
        } else if (above == GRAPH_DONE &&
                   (run->running == 0 || (run->running < run->jobs && run->memory >= need_of(one)))) {
            return one;
        }
    }
    return NULL;
}

static void run_threads(Run *run)
{
    g_autoptr(GPtrArray) threads = g_ptr_array_new();
    g_mutex_lock(&run->lock);
    for (;;) {
        GraphRecipe *one = next(run);
        if (one == NULL && run->running == 0) {
            break;
        }
        if (one == NULL) {
            g_cond_wait(&run->changed, &run->lock);
            continue;
        }
        Job *job = g_new(Job, 1);
        *job = (Job){.run = run, .one = one, .memory = MIN(run->memory, need_of(one))};
        one->state = GRAPH_RUNNING;
        run->running++;
        run->memory -= job->memory;
        g_ptr_array_add(threads, g_thread_new(one->recipe->name, work, job));
    }
    g_mutex_unlock(&run->lock);
    for (guint i = 0; i < threads->len; i++) {
        g_thread_join(g_ptr_array_index(threads, i));
    }
}

static gboolean tell(Graph *graph, GError **error)
{
    guint failed = 0;
    GraphRecipe *last = NULL;
    for (guint i = 0; i < graph->recipes->len; i++) {
        GraphRecipe *one = g_ptr_array_index(graph->recipes, i);
        failed += one->state != GRAPH_DONE;
        last = one->state == GRAPH_FAILED ? one : last;
    }
    if (failed == 0) {
        return TRUE;
    }
    if (!ingot_interrupt_check(error)) {
        return FALSE;
    }
    if (failed == 1 && last != NULL) {
        g_propagate_prefixed_error(error, g_steal_pointer(&last->error), "%s: ", last->recipe->path);
    } else {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%u of %u recipes were not built", failed,
                    graph->recipes->len);
    }
    return FALSE;
}

gboolean graph_run(Graph *graph, const GraphOptions *options, IngotProgress *progress, GraphBuild build, gpointer user,
                   GError **error)
{
    Run run = {.graph = graph,
               .jobs = options->jobs,
               .fail_fast = options->fail_fast,
               .progress = progress,
               .build = build,
               .user = user};
    run.memory = room_memory(&room_places);
    g_mutex_init(&run.lock);
    g_cond_init(&run.changed);
    if (options->jobs == 1) {
        for (GraphRecipe *one; (one = next(&run)) != NULL;) {
            one->state = build_one(&run, one, progress);
        }
    } else {
        run_threads(&run);
    }
    g_mutex_clear(&run.lock);
    g_cond_clear(&run.changed);
    return tell(graph, error);
}
