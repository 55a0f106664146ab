/* The verbs of ingot-build, one file each. */
#pragma once

#include <ingot/command.h>

extern const IngotVerb verb_build, verb_run, verb_validate;
