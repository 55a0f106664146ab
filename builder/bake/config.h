/* What an image says of itself: the config's keys that a build knows, and the manifest's annotations. */
#pragma once

#include <ingot/json.h>
#include <ingot/progress.h>

#include "cache/node.h"
#include "recipe/recipe.h"

/* {"key", "title", "seconds", "ran"} for the config's "steps". */
json_t *config_step(const NodeRun *run);
/* os may be NULL (then the source's stands). What cannot be found out goes to progress. */
json_t *config_new(const Recipe *recipe, json_t *source, json_t *os, json_t *steps, IngotProgress *progress);
/* The org.opencontainers.image.* set and the recipe's own. */
json_t *config_annotations(const Recipe *recipe, const json_t *config, const char *version);
