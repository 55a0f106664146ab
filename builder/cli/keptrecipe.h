/* The recipe that is attached to an image (bake/recipetar.h), had back. Anybody who may push can attach one: it is
 * unpacked by guest/extract.h, which writes nothing outside of its folder. */
#pragma once

#include <ingot/remote.h>
#include <ingot/store.h>

typedef struct {
    GBytes *tar;
    char *path;     /* of the recipe within it; a relative one without ".." */
    char *left_out; /* what is not in it, one a line, or NULL */
} KeptRecipe;
void kept_recipe_clear(KeptRecipe *recipe);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(KeptRecipe, kept_recipe_clear)

/* NOT_FOUND: none is attached. The first of several counts. */
gboolean kept_recipe_of_store(IngotStore *store, const IngotDescriptor *image, KeptRecipe *out, GError **error);
gboolean kept_recipe_of_registry(IngotRemote *remote, const char *name, const IngotDigest *image, KeptRecipe *out,
                                 GError **error);
/* Unpacks it into a folder, which is made. The recipe's own path there; free it. */
char *kept_recipe_unpack(const KeptRecipe *recipe, const char *folder, GError **error);
