#include "cli/fetchedrecipe.h"

#include <ingot/error.h>
#include <ingot/transfer.h>

#include "base/command.h"
#include "base/file.h"
#include "cli/keptrecipe.h"
#include "remote/environment.h"
#include "transfer/admit.h"
#include "transfer/allowed.h"

/* Of all tars that one command unpacks: many times what a build attaches (RECIPE_TAR_MAX). */
#define BYTES_MAX (128u << 20)

struct FetchedRecipes {
    IngotWorkdir *workdir; /* NULL until something is fetched */
    GHashTable *asked;     /* references as recipes have them -> RecipeFetched of images */
    GHashTable *images;    /* HOST/NAME@DIGEST -> RecipeFetched */
    guint64 bytes;         /* of the tars that they were unpacked from */
};

static void fetched_free(gpointer data)
{
    RecipeFetched *fetched = data;
    g_free(fetched->path);
    g_free(fetched->folder);
    g_free(fetched->image);
    json_decref(fetched->values);
    g_free(fetched);
}

FetchedRecipes *fetched_recipes_new(void)
{
    FetchedRecipes *recipes = g_new0(FetchedRecipes, 1);
    recipes->asked = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    recipes->images = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, fetched_free);
    return recipes;
}

void fetched_recipes_free(FetchedRecipes *recipes)
{
    g_hash_table_unref(recipes->asked);
    g_hash_table_unref(recipes->images);
    g_clear_pointer(&recipes->workdir, ingot_workdir_free);
    g_free(recipes);
}

/* Of the store, where that has the image of the digest with its recipe. NOT_FOUND: it has not. */
static gboolean take_stored(IngotStore *store, const IngotReference *reference, const IngotPullOptions *options,
                            KeptRecipe *kept, GError **error)
{
    g_autoptr(IngotStoreEntry) entry = ingot_store_find(store, reference, error);
    return entry != NULL && kept_recipe_of_store(store, &entry->manifest, kept, error) &&
           allowed_check(store, reference, &entry->manifest.digest, options, error);
}

static gboolean take_remote(IngotStore *store, IngotReference *reference, const IngotPullOptions *options,
                            KeptRecipe *kept, char **digest, GError **error)
{
    IngotDescriptor image;
    g_autoptr(IngotReference) asked = ingot_reference_new(
        reference->host, reference->name, reference->digest == NULL ? reference->tag : NULL, reference->digest);
    g_autoptr(IngotRemote) remote = environment_remote(reference->host, error);
    g_autoptr(GBytes) manifest =
        remote == NULL ? NULL : ingot_transfer_image_manifest(remote, reference, &image, error);
    if (manifest == NULL || !admit_pull(store, remote, asked, &image.digest, options, error) ||
        !kept_recipe_of_registry(remote, reference->name, &image.digest, kept, error)) {
        return FALSE;
    }
    *digest = ingot_digest_to_text(&image.digest);
    return TRUE;
}

/* *digest (free it): of the image. A tag may have moved: its registry is asked. */
static gboolean take(IngotReference *reference, KeptRecipe *kept, char **digest, GError **error)
{
    g_autoptr(IngotStore) store = ingot_store_open_lazy(ingot_command_common()->store);
    g_autoptr(IngotRemoteOptions) remote = ingot_remote_options_from_environment();
    const IngotPullOptions options = {.progress = ingot_command_progress(), .remote = remote};
    g_autoptr(GError) problem = NULL;
    if (reference->digest != NULL && take_stored(store, reference, &options, kept, &problem)) {
        *digest = g_strdup(reference->digest);
        return TRUE;
    }
    if (problem != NULL && !g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    kept_recipe_clear(kept);
    return take_remote(store, reference, &options, kept, digest, error);
}

static gboolean count_bytes(FetchedRecipes *recipes, gsize size, GError **error)
{
    recipes->bytes += size;
    if (recipes->bytes > BYTES_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT,
                    "the recipes that images carry have more than %u MiB with their files: one command takes no more",
                    BYTES_MAX >> 20);
    }
    return recipes->bytes <= BYTES_MAX;
}

/* Takes image. */
static RecipeFetched *unpack(FetchedRecipes *recipes, const KeptRecipe *kept, char *image, GError **error)
{
    g_autofree char *number = g_strdup_printf("%u", g_hash_table_size(recipes->images));
    g_autofree char *owned = image, *folder = ingot_workdir_file(recipes->workdir, number);
    if (!count_bytes(recipes, g_bytes_get_size(kept->tar), error)) {
        return NULL;
    }
    g_autofree char *path = kept_recipe_unpack(kept, folder, error);
    if (path == NULL) {
        return NULL;
    }
    RecipeFetched *fetched = g_new0(RecipeFetched, 1);
    fetched->path = g_canonicalize_filename(path, NULL);
    fetched->folder = g_canonicalize_filename(folder, NULL);
    fetched->image = g_steal_pointer(&owned);
    fetched->values = json_incref(kept->variables);
    g_hash_table_insert(recipes->images, fetched->image, fetched);
    return fetched;
}

static RecipeFetched *fetch(FetchedRecipes *recipes, const char *text, GError **error)
{
    g_auto(KeptRecipe) kept = {0};
    g_autofree char *digest = NULL;
    g_autoptr(IngotReference) reference = ingot_reference_parse(text, error);
    if (reference == NULL || !take(reference, &kept, &digest, error)) {
        return NULL;
    }
    char *image = g_strdup_printf("%s/%s@%s", reference->host, reference->name, digest);
    RecipeFetched *fetched = g_hash_table_lookup(recipes->images, image);
    if (fetched != NULL) {
        g_free(image);
        return fetched;
    }
    return unpack(recipes, &kept, image, error);
}

const RecipeFetched *fetched_recipes_get(const char *reference, gpointer user, GError **error)
{
    FetchedRecipes *recipes = user;
    RecipeFetched *fetched = g_hash_table_lookup(recipes->asked, reference);
    if (fetched != NULL) {
        return fetched;
    }
    if (recipes->workdir == NULL) {
        recipes->workdir = ingot_workdir_new(error);
    }
    fetched = recipes->workdir == NULL ? NULL : fetch(recipes, reference, error);
    if (fetched != NULL) {
        g_hash_table_insert(recipes->asked, g_strdup(reference), fetched);
    }
    return fetched;
}
