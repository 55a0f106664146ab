/* What a pipeline requires of every build, added to a recipe once it is read: tests of other recipes, and outputs. */
#pragma once

#include "recipe/recipe.h"

/* required: {"pipeline": HOST/NAME, "digest", "tests": [{"name", "digest"}], "outputs": [NAME]}; the recipe has a copy
 * from then on. tests: of Recipe, those whose tests run after the recipe's own. INVALID: an output is not a format. */
gboolean recipe_require(Recipe *recipe, const json_t *required, const GPtrArray *tests, GError **error);
