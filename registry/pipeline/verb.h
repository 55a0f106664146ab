/* The verb of ingot-pipeline. */
#pragma once

#include "base/command.h"

extern const IngotVerb verb_pipeline;
