/* The kinds of steps: each is one file, which says what its keys are and what it does, and one line in recipe/kinds.h.
 */
#pragma once

#include "recipe/kinds.h"
#include "step/step.h"

#define KIND(name) extern const StepKind step_##name;
RECIPE_STEPS(KIND)
#undef KIND
extern const StepKind step_ready; /* Ingot's own, which no recipe names */
