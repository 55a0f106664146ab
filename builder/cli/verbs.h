/* The verbs of ingot-build, one file each. */
#pragma once

#include "base/command.h"

extern const IngotVerb verb_build, verb_cache, verb_plan, verb_recipe, verb_run, verb_shell, verb_test, verb_validate;
