/* What an image says of itself: the config's keys that a build knows, and the manifest's annotations. */
#pragma once

#include "bake/origin.h"
#include "base/json.h"
#include "cache/node.h"
#include "recipe/recipe.h"

/* {"key", "title", "seconds", "ran"} for the config's "steps". */
json_t *config_step(const NodeRun *run);
typedef struct {
    const Recipe *recipe;
    const Origin *origin;
    GBytes *tar;     /* of the recipe with its files, as it is attached; NULL: nothing is */
    json_t *source;  /* what the source says of itself; may be NULL */
    json_t *os;      /* NULL: the source's stands */
    json_t *steps;   /* of config_step */
    gboolean booted; /* the recipe's machine has run the disk: a step, or the tests */
} ConfigFacts;
json_t *config_new(const ConfigFacts *facts);
/* The org.opencontainers.image.* set and the recipe's own. */
json_t *config_annotations(const Recipe *recipe, const json_t *config, const char *version);
