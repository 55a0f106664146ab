/* Stages: what a build is cached by. One kind, one file, one row in the table of walk/stages.c.
 *
 * A kind says what it adds to a plan (pure: keys, titles, inputs) and what it runs. The plan and the cache know the
 * first half alone; the second is given to the walk, whose inside is not known here. */
#pragma once

#include <ingot/digest.h>

#include "recipe/recipe.h"

typedef enum { PLAN_KEEP_MEMORY, PLAN_KEEP_DISK, PLAN_KEEP_NOTHING } PlanKeep;

typedef struct StageKind StageKind;

typedef struct {
    const StageKind *kind;
    json_t *step; /* what it runs, with its secrets; NULL: the machine is only started */
    char *title;
    IngotDigest key;
    json_t *inputs;   /* {what: text}: see "why" in cache/history.h. It holds no secret */
    GPtrArray *files; /* of StepInput: what it reads of the host; NULL: nothing */
    char *product;    /* the host's file or folder that it makes, without which its outcome is not valid; NULL: none */
    gboolean secret;  /* it uses one */
    guint64 max_age;  /* seconds for which its outcome is valid; 0: for ever */
    PlanKeep keep;
    gboolean shutdown; /* the machine is shut down after it */
    gboolean offline;  /* it needs the disk of a machine that does not run */
} PlanStage;

typedef struct PlanBuilder PlanBuilder;
struct Walk;
struct StageKind {
    const char *name;
    /* Adds the recipe's stages of this kind to the plan: see plan/builder.h. */
    gboolean (*add)(PlanBuilder *builder, GError **error);
    /* Runs one; the walk has what the stage needs: a machine that runs, or a disk at rest. */
    gboolean (*run)(struct Walk *walk, const PlanStage *stage, GError **error);
};

/* Every kind, in the order in which a plan has their stages; ended by NULL. Defined in walk/stages.c. */
extern const StageKind *const stage_kinds[];
