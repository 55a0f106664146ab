/* source: {recipe: HOST/NAME@DIGEST}, or :TAG: the recipe that an image carries, unpacked into a private folder that is
 * there for as long as the recipes built from it are used. A tag is asked once; an image's recipe is fetched once. How
 * much is unpacked in all is bounded. */
#pragma once

#include "recipe/recipe.h"

typedef struct FetchedRecipes FetchedRecipes;
FetchedRecipes *fetched_recipes_new(void);
void fetched_recipes_free(FetchedRecipes *recipes);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FetchedRecipes, fetched_recipes_free)

/* A RecipeFetch, with FetchedRecipes for its user. REFUSED: the policy does not allow the image. */
const RecipeFetched *fetched_recipes_get(const char *reference, gpointer user, GError **error);
