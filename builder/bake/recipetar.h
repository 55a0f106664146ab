/* The recipe of an image, with its files, as one tar that is attached to it, so that it can be had back.
 *
 * In it are the recipe's shown text and what its steps read of this host, by the paths that the recipe has for them.
 * Left out, and listed, is whatever would not come back as it was or should not be seen: what lies outside of the
 * recipe's folder, links, what has a secret of the recipe in it, what makes it all too large; and what the recipe is
 * based on. The tar depends on the names and bytes of the files alone: no time, no owner. */
#pragma once

#include "recipe/recipe.h"

#define RECIPE_TAR_TYPE "application/vnd.ingot.recipe.v1+tar"
#define RECIPE_TAR_PATH "vnd.ingot.recipe"              /* annotation: the recipe's path in the tar */
#define RECIPE_TAR_LEFT_OUT "vnd.ingot.recipe.left-out" /* annotation: what is not in it, one a line */
#define RECIPE_TAR_MAX (16u << 20)                      /* bytes of all files */

typedef struct {
    GBytes *tar;
    json_t *annotations;
} RecipeTar;
void recipe_tar_clear(RecipeTar *tar);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(RecipeTar, recipe_tar_clear)

gboolean recipe_tar_make(const Recipe *recipe, RecipeTar *out, GError **error);
