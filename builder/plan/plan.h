/* The plan: a recipe's steps in order, each with a key that says what its outcome depends on.
 *
 * A key is SHA-256 over the parent's key, the step in canonical form, and the bytes, modes and names of every file that
 * it reads. The first parent is the source's key with the machine's shape. Secrets enter by their SHA-256 keyed with
 * the source's key only. Equal keys: an earlier outcome may stand for a new one; one changed byte changes that key and
 * all that follow. */
#pragma once

#include <ingot/digest.h>

#include "recipe/recipe.h"

typedef struct {
    const json_t *step; /* borrowed from the recipe's tree */
    char *title;
    IngotDigest key;
} PlanStep;

typedef struct {
    IngotDigest base;  /* source and machine */
    GPtrArray *steps;  /* of PlanStep */
    IngotDigest image; /* the whole: last step, seal, tests, name, version, annotations, builder's version */
} Plan;

/* source_key: see source_key() of source/source.h. A file that a step reads and that cannot be read is an error. */
Plan *plan_new(const Recipe *recipe, const char *source_key, GError **error);
void plan_free(Plan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Plan, plan_free)
