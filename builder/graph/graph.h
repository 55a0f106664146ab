/* Several recipes as a graph: each comes after the one that it is based on, as many at once as processors and memory
 * allow. One that fails takes those based on it with it, and no others. */
#pragma once

#include <ingot/manifest.h>
#include <ingot/progress.h>

#include "recipe/recipe.h"
#include "walk/report.h"

typedef enum { GRAPH_WAITING, GRAPH_RUNNING, GRAPH_DONE, GRAPH_FAILED, GRAPH_SKIPPED } GraphState;

typedef struct GraphRecipe GraphRecipe;
struct GraphRecipe {
    Recipe *recipe;
    char *path;          /* absolute */
    gboolean asked_for;  /* not only because another one is based on it */
    GraphRecipe *parent; /* what it is based on, or NULL */
    GraphState state;
    /* Set by the builder: */
    char *name, *tag;
    IngotDescriptor manifest;
    gboolean cached;       /* nothing had to be done */
    gboolean checked_only; /* no image was to be made */
    BuildReport *report;
    double seconds;
    GError *error; /* until the run has ended */
    char *message; /* of that error, for good */
};

typedef struct {
    GPtrArray *recipes; /* of GraphRecipe, each after its parent, else in the order they were given */
} Graph;

/* paths: recipes, or folders whose *.yaml and *.yml are meant. Every mistake in any of them is told at once. */
Graph *graph_load(const GPtrArray *paths, const RecipeInputs *inputs, GError **error);
/* Two recipes that would give their images one name and version are an error: each would take it from the other. tag:
 * what the one that was asked for is named instead; or NULL. */
gboolean graph_refuse_twins(const Graph *graph, const char *tag, GError **error);
/* The one recipe that was asked for; several are INVALID and NULL. */
const GraphRecipe *graph_only(const Graph *graph, GError **error);
void graph_free(Graph *graph);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Graph, graph_free)

typedef gboolean (*GraphBuild)(GraphRecipe *recipe, IngotProgress *progress, gpointer user, GError **error);
/* Builds all. FALSE where one failed, with its error, or with how many did. */
typedef struct {
    guint jobs;         /* at most so many at once; in threads of their own unless it is 1 */
    gboolean fail_fast; /* once one has failed, no other is begun */
} GraphOptions;
gboolean graph_run(Graph *graph, const GraphOptions *options, IngotProgress *progress, GraphBuild build, gpointer user,
                   GError **error);
