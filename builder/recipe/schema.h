/* The recipe's language as a JSON Schema, made from the tables of keys: what editors complete and check with.
 *
 * recipes/recipe.schema.json is its text; `make schema` writes it, and a test compares the two. */
#pragma once

#include "base/json.h"

json_t *recipe_schema(void);
