/* The recipe of an image, with its files, as one tar that is attached to it, so that it can be had back.
 *
 * In it are the recipe's shown text and what its steps read of this host, by the paths that the recipe has for them;
 * where its evidence.files is false, the text alone. Whoever may pull the image may read it: a file that a step uploads
 * and that the seal removes is in it nevertheless. So what looks private is left out, and listed: files and folders
 * that are closed to group and others, private keys, files that are named as programs name those of their passwords,
 * git's own, and what has a secret of the recipe in it. Left out as well is what would not come back as it was: what
 * lies outside of the recipe's folder, links, what makes it all too large; and what the recipe is based on. The tar
 * depends on the names, modes and bytes of the files alone: no time, no owner. */
#pragma once

#include "recipe/recipe.h"

#define RECIPE_TAR_TYPE "application/vnd.ingot.recipe.v1+tar"
#define RECIPE_TAR_PATH "vnd.ingot.recipe"              /* annotation: the recipe's path in the tar */
#define RECIPE_TAR_LEFT_OUT "vnd.ingot.recipe.left-out" /* annotation: what is not in it, one a line */
#define RECIPE_TAR_MAX (16u << 20)                      /* bytes of all files */

typedef struct {
    GBytes *tar;
    json_t *annotations;
    guint files;         /* that are in it besides the recipe */
    GPtrArray *left_out; /* of char *: "NAME: why" */
} RecipeTar;
void recipe_tar_clear(RecipeTar *tar);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(RecipeTar, recipe_tar_clear)

gboolean recipe_tar_make(const Recipe *recipe, RecipeTar *out, GError **error);
