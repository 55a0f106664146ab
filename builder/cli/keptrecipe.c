#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>

#include "bake/recipetar.h"
#include "base/command.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/keptrecipe.h"
#include "guest/extract.h"
#include "store/attached.h"

#define TAR_MAX ((gsize)2 * RECIPE_TAR_MAX) /* with what a tar needs besides the files' bytes */

void kept_recipe_clear(KeptRecipe *recipe)
{
    g_clear_pointer(&recipe->tar, g_bytes_unref);
    g_clear_pointer(&recipe->path, g_free);
    g_clear_pointer(&recipe->left_out, g_free);
}

static gboolean path_is_within(const char *path)
{
    g_auto(GStrv) parts = path == NULL ? NULL : g_strsplit(path, "/", -1);
    gboolean within = parts != NULL && *parts != NULL;
    for (guint i = 0; within && parts[i] != NULL; i++) {
        within = *parts[i] != '\0' && strcmp(parts[i], ".") != 0 && strcmp(parts[i], "..") != 0;
    }
    return within;
}

/* What the attachment's manifest says; *layer: where the tar is. */
static gboolean recipe_read(GBytes *manifest, KeptRecipe *out, IngotDigest *layer, GError **error)
{
    g_autoptr(json_t) root = ingot_json_parse_bytes(manifest, "the attached recipe", INGOT_MANIFEST_VALUES, error);
    const json_t *annotations = json_object_get(root, "annotations");
    const json_t *first = json_array_get(json_object_get(root, "layers"), 0);
    const char *path = json_string_value(json_object_get(annotations, RECIPE_TAR_PATH));
    const char *digest = json_string_value(json_object_get(first, "digest"));
    if (root == NULL) {
        return FALSE;
    }
    if (digest == NULL || !path_is_within(path)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "the attached recipe does not say where in it the recipe is, or has no content");
        return FALSE;
    }
    out->path = g_strdup(path);
    out->left_out = g_strdup(json_string_value(json_object_get(annotations, RECIPE_TAR_LEFT_OUT)));
    return ingot_digest_parse(digest, layer, error);
}

static gboolean recipe_is_missing(GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND,
                "no recipe is attached to the image: an older Ingot baked it, or something else made it");
    return FALSE;
}

gboolean kept_recipe_of_store(IngotStore *store, const IngotDescriptor *image, KeptRecipe *out, GError **error)
{
    g_autoptr(GPtrArray) all = attached_list(store, &image->digest, error);
    for (guint i = 0; all != NULL && i < all->len; i++) {
        const Attached *one = g_ptr_array_index(all, i);
        if (g_strcmp0(one->type, RECIPE_TAR_TYPE) == 0) {
            IngotDigest layer;
            g_autoptr(GBytes) manifest = ingot_store_read(store, &one->manifest.digest, INGOT_MANIFEST_MAX, error);
            out->tar = manifest == NULL || !recipe_read(manifest, out, &layer, error)
                           ? NULL
                           : ingot_store_read(store, &layer, TAR_MAX, error);
            return out->tar != NULL;
        }
    }
    return all != NULL && recipe_is_missing(error);
}

gboolean kept_recipe_of_registry(IngotRemote *remote, const char *name, const IngotDigest *image, KeptRecipe *out,
                                 GError **error)
{
    g_autoptr(json_t) all = ingot_remote_referrers(remote, name, image, error);
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *one = json_array_get(all, i);
        const char *digest = json_string_value(json_object_get(one, "digest"));
        if (digest != NULL &&
            g_strcmp0(json_string_value(json_object_get(one, "artifactType")), RECIPE_TAR_TYPE) == 0) {
            IngotDescriptor descriptor;
            IngotDigest layer;
            g_autofree char *type = NULL;
            g_autoptr(GBytes) manifest = ingot_remote_get_manifest(remote, name, digest, &descriptor, &type, error);
            out->tar = manifest == NULL || !recipe_read(manifest, out, &layer, error)
                           ? NULL
                           : ingot_remote_get_blob(remote, name, &layer, TAR_MAX, error);
            return out->tar != NULL;
        }
    }
    return all != NULL && recipe_is_missing(error);
}

static void say_skipped(const char *message, gpointer user)
{
    ingot_progress_message(user, "%s", message);
}

char *kept_recipe_unpack(const KeptRecipe *recipe, const char *folder, GError **error)
{
    gsize size;
    const void *bytes = g_bytes_get_data(recipe->tar, &size);
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(error);
    g_autofree char *tar = workdir == NULL ? NULL : ingot_workdir_file(workdir, "recipe.tar");
    if (tar == NULL || !ingot_file_replace(tar, bytes, size, 0600, error)) {
        return NULL;
    }
    int fd = ingot_file_open(tar, O_RDONLY, 0, error);
    gboolean ok =
        fd >= 0 && extract_tar(fd, "the attached recipe", folder, NULL, say_skipped, ingot_command_progress(), error);
    ingot_fd_clear(&fd);
    g_autofree char *path = ok ? g_build_filename(folder, recipe->path, NULL) : NULL;
    if (ok && (!g_file_test(path, G_FILE_TEST_IS_REGULAR) || g_file_test(path, G_FILE_TEST_IS_SYMLINK))) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "the attached recipe has no file '%s'", recipe->path);
        return NULL;
    }
    return g_steal_pointer(&path);
}
