/* How a kind of stage adds to a plan that is being made. */
#pragma once

#include "plan/plan.h"

struct PlanBuilder {
    Plan *plan;
    const Recipe *recipe;
    const char *source_key, *salt; /* see plan_new */
};

/* A stage after those that the plan has; title is taken over. Its inputs are empty, its key is not set yet. */
PlanStage *plan_add(PlanBuilder *builder, const StageKind *kind, json_t *step, char *title);
/* The same for a step: title, age, and what it says of caching come from the step, its form from its public half. */
PlanStage *plan_add_step(PlanBuilder *builder, const StageKind *kind, json_t *step, const json_t *public_step);
/* Adds to the inputs an HMAC over the step's secrets, and every file of the host that the step reads. */
gboolean plan_step_inputs(PlanBuilder *builder, PlanStage *stage, const json_t *public_step, GError **error);
/* Adds to found every text of a value that has a secret in it, under its place: "env/A". */
void plan_find_secrets(const Recipe *recipe, const char *place, const json_t *value, json_t *found);
/* All that was found as one HMAC, whatever the order of the keys; NULL: nothing was. Free it. */
char *plan_keyed_secrets(const json_t *found, const char *salt);
/* Sets the key from the inputs and the key of the stage before. */
void plan_set_key(PlanBuilder *builder, PlanStage *stage);
