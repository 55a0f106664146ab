/* The recipe that is attached to an image (bake/recipetar.h), had back.
 *
 * Anybody who may push can attach one. The image's config, which nobody can change without changing the image's digest,
 * has the digests of the recipe's text and of the tar: of all that are attached, the one that fits them is taken. (An
 * older image names the text alone: a tar of that text and nothing else is taken.) None has a link or a git repository
 * in it. It is unpacked by guest/extract.h, which writes nothing outside of its folder. */
#pragma once

#include <ingot/remote.h>
#include <ingot/store.h>

typedef struct {
    GBytes *tar;
    char *path;        /* of the recipe within it; a relative one without ".." */
    char *left_out;    /* what is not in it, one a line, or NULL */
    json_t *variables; /* Recipe.values of the build; NULL: an older image does not say them */
    IngotDigest digest, tar_digest;
    gboolean has_tar_digest; /* digest is that of the recipe's text, always there */
} KeptRecipe;
void kept_recipe_clear(KeptRecipe *recipe);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(KeptRecipe, kept_recipe_clear)

/* NOT_FOUND: none is attached, or the image does not say that it was baked from one. CORRUPT: what is attached is not
 * the image's own. */
gboolean kept_recipe_of_store(IngotStore *store, const IngotDescriptor *image, KeptRecipe *out, GError **error);
gboolean kept_recipe_of_registry(IngotRemote *remote, const char *name, const IngotDigest *image, KeptRecipe *out,
                                 GError **error);
/* Unpacks it into a folder, which is made. The recipe's own path there; free it. */
char *kept_recipe_unpack(const KeptRecipe *recipe, const char *folder, GError **error);
