/* What `ingot show` tells of an image of a registry, for the verbs that tell it too. */
#pragma once

#include "base/json.h"
#include "cli/common.h"

/* {"reference", "digest", "stored", "config", "annotations", "attached", "evidence", …}; the reference's tag is made
 * certain, where it has none. */
json_t *show_of_registry(IngotReference *reference, GError **error);
/* Prints it for people. */
void show_print(const json_t *all);
