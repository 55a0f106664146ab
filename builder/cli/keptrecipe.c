#include "cli/keptrecipe.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>

#include "bake/recipetar.h"
#include "base/command.h"
#include "base/file.h"
#include "base/json.h"
#include "base/process.h"
#include "guest/extract.h"
#include "store/attached.h"
#include "transfer/place.h"

#define CONFIG_MAX (16u << 20)
#define TAR_MAX ((gsize)2 * RECIPE_TAR_MAX) /* with what a tar needs besides the files' bytes */

void kept_recipe_clear(KeptRecipe *recipe)
{
    g_clear_pointer(&recipe->tar, g_bytes_unref);
    g_clear_pointer(&recipe->path, g_free);
    g_clear_pointer(&recipe->left_out, g_free);
    g_clear_pointer(&recipe->variables, json_decref);
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

static void digests_add(GArray *digests, const char *type, const IngotDigest *digest)
{
    if (g_strcmp0(type, RECIPE_TAR_TYPE) == 0) {
        g_array_append_val(digests, *digest);
    }
}

static gboolean place_list_store(const ImagePlace *place, const IngotDigest *image, GArray *found, GError **error)
{
    g_autoptr(GPtrArray) all = attached_list(place->store, image, error);
    for (guint i = 0; all != NULL && i < all->len; i++) {
        const Attached *one = g_ptr_array_index(all, i);
        digests_add(found, one->type, &one->manifest.digest);
    }
    return all != NULL;
}

static gboolean place_list_registry(const ImagePlace *place, const IngotDigest *image, GArray *found, GError **error)
{
    g_autoptr(json_t) all = ingot_remote_referrers(place->remote, place->name, image, error);
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *one = json_array_get(all, i);
        const char *text = json_string_value(json_object_get(one, "digest"));
        IngotDigest digest;
        if (text != NULL && ingot_digest_parse(text, &digest, NULL)) {
            digests_add(found, json_string_value(json_object_get(one, "artifactType")), &digest);
        }
    }
    return all != NULL;
}

/* The manifests that call themselves a recipe of the image: of IngotDigest. */
static GArray *place_list(const ImagePlace *place, const IngotDigest *image, GError **error)
{
    g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(IngotDigest));
    gboolean ok = place->store != NULL ? place_list_store(place, image, found, error)
                                       : place_list_registry(place, image, found, error);
    return ok ? g_steal_pointer(&found) : NULL;
}

/* The config of an image. */
static json_t *place_config(const ImagePlace *place, const IngotDigest *image, GError **error)
{
    g_autoptr(GBytes) text = image_place_manifest(place, image, error);
    g_autoptr(IngotManifest) manifest =
        text == NULL ? NULL
                     : ingot_manifest_parse(g_bytes_get_data(text, NULL), g_bytes_get_size(text), "the image", error);
    g_autoptr(GBytes) config =
        manifest == NULL ? NULL : image_place_blob(place, &manifest->config.digest, CONFIG_MAX, error);
    return config == NULL ? NULL
                          : ingot_config_parse(g_bytes_get_data(config, NULL), g_bytes_get_size(config),
                                               "the image's config", error);
}

static gboolean has_digest(const json_t *recipe, const char *key, IngotDigest *digest)
{
    const char *text = json_string_value(json_object_get(recipe, key));
    return text != NULL && ingot_digest_parse(text, digest, NULL);
}

/* What the image's config says of its recipe. *known: it says anything. */
static gboolean recipe_expect(const ImagePlace *place, const IngotDigest *image, KeptRecipe *out, gboolean *known,
                              GError **error)
{
    g_autoptr(json_t) config = place_config(place, image, error);
    const json_t *recipe = json_object_get(config, "recipe");
    *known = has_digest(recipe, "digest", &out->digest);
    out->has_tar_digest = has_digest(recipe, "tar", &out->tar_digest);
    json_t *variables = json_object_get(recipe, "variables");
    out->variables = json_is_object(variables) ? json_incref(variables) : NULL;
    return config != NULL;
}

static gboolean recipe_is_foreign(GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                "the attached recipe is not the one that the image's config names by its digest");
    return FALSE;
}

/* What the attachment's manifest says; *layer: where the tar is. */
static gboolean recipe_read(GBytes *manifest, KeptRecipe *out, IngotDigest *layer, GError **error)
{
    g_autoptr(json_t) root = ingot_json_parse_bytes(manifest, "the attached recipe", INGOT_MANIFEST_VALUES, error);
    const json_t *annotations = json_object_get(root, "annotations");
    const json_t *first = json_array_get(json_object_get(root, "layers"), 0);
    const char *path = json_string_value(json_object_get(annotations, RECIPE_TAR_PATH));
    if (root == NULL) {
        return FALSE;
    }
    if (!has_digest(first, "digest", layer) || !path_is_within(path)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "the attached recipe does not say where in it the recipe is, or has no content");
        return FALSE;
    }
    out->path = g_strdup(path);
    out->left_out = g_strdup(json_string_value(json_object_get(annotations, RECIPE_TAR_LEFT_OUT)));
    return !out->has_tar_digest || ingot_digest_equal(layer, &out->tar_digest) || recipe_is_foreign(error);
}

/* The digest of an entry's bytes. */
static gboolean entry_digest(struct archive *archive, IngotDigest *digest)
{
    char bytes[16384];
    la_ssize_t count;
    g_autoptr(IngotHasher) hasher = ingot_hasher_new();
    while ((count = archive_read_data(archive, bytes, sizeof bytes)) > 0) {
        ingot_hasher_add(hasher, bytes, (gsize)count);
    }
    ingot_hasher_finish(hasher, digest);
    return count == 0;
}

/* What is in a tar that calls itself a recipe's. */
typedef struct {
    gboolean own;   /* the recipe that the image was baked from */
    guint others;   /* entries besides that */
    gboolean alien; /* what no build packs: a link, which may lead anywhere, or a git repository, whose settings would
                       have git run programs */
} TarLook;

static gboolean entry_is_alien(struct archive_entry *entry)
{
    const char *name = archive_entry_pathname(entry);
    g_auto(GStrv) parts = name == NULL ? NULL : g_strsplit(name, "/", -1);
    return archive_entry_filetype(entry) == AE_IFLNK || parts == NULL ||
           g_strv_contains((const char *const *)parts, ".git");
}

static TarLook tar_look(const KeptRecipe *recipe)
{
    struct archive *archive = archive_read_new();
    struct archive_entry *entry;
    TarLook look = {0};
    int status;
    archive_read_support_format_tar(archive);
    gsize size;
    const void *bytes = g_bytes_get_data(recipe->tar, &size);
    gboolean open = archive_read_open_memory(archive, bytes, size) == ARCHIVE_OK;
    while (open && ((status = archive_read_next_header(archive, &entry)) == ARCHIVE_OK || status == ARCHIVE_WARN)) {
        IngotDigest digest;
        gboolean own = !look.own && g_strcmp0(archive_entry_pathname(entry), recipe->path) == 0 &&
                       entry_digest(archive, &digest) && ingot_digest_equal(&digest, &recipe->digest);
        look.own |= own;
        look.others += !own;
        look.alien |= entry_is_alien(entry);
    }
    archive_read_free(archive);
    return look;
}

/* Whether it is what the image's config names: the tar by its digest or, of an older image, the recipe's text, which
 * says nothing of files beside it. */
static gboolean tar_check(const KeptRecipe *recipe, GError **error)
{
    const TarLook look = tar_look(recipe);
    if (!look.own) {
        return recipe_is_foreign(error);
    }
    if (look.alien) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "the attached recipe has links or a git repository in it, which no build attaches");
        return FALSE;
    }
    if (!recipe->has_tar_digest && look.others > 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "the files of the attached recipe may be anybody's: the image is of an older Ingot, which did not "
                    "record their digest");
        return FALSE;
    }
    return TRUE;
}

/* One attachment that calls itself the recipe: into out, which has what the config says. */
static gboolean recipe_take(const ImagePlace *place, const IngotDigest *attached, KeptRecipe *out, GError **error)
{
    IngotDigest layer;
    g_clear_pointer(&out->path, g_free);
    g_clear_pointer(&out->left_out, g_free);
    g_clear_pointer(&out->tar, g_bytes_unref);
    g_autoptr(GBytes) manifest = image_place_manifest(place, attached, error);
    if (manifest == NULL || !recipe_read(manifest, out, &layer, error)) {
        return FALSE;
    }
    out->tar = image_place_blob(place, &layer, TAR_MAX, error);
    return out->tar != NULL && tar_check(out, error);
}

static gboolean recipe_is_missing(GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND,
                "no recipe is attached to the image: an older Ingot baked it, or something else made it");
    return FALSE;
}

/* Whoever may push can attach a recipe: one that cannot be had counts more than those that are not the image's own. */
static gboolean recipe_find(const ImagePlace *place, const IngotDigest *image, KeptRecipe *out, GError **error)
{
    gboolean known;
    g_autoptr(GArray) all = recipe_expect(place, image, out, &known, error) ? place_list(place, image, error) : NULL;
    if (all == NULL) {
        return FALSE;
    }
    GError *first = NULL;
    for (guint i = 0; known && i < all->len && ingot_interrupt_check(NULL); i++) {
        GError *problem = NULL;
        if (recipe_take(place, &g_array_index(all, IngotDigest, i), out, &problem)) {
            g_clear_error(&first);
            return TRUE;
        }
        if (first == NULL || g_error_matches(first, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
            g_clear_error(&first);
            first = g_steal_pointer(&problem);
        }
        g_clear_error(&problem);
    }
    if (!ingot_interrupt_check(error)) {
        g_clear_error(&first);
        return FALSE;
    }
    if (first == NULL) {
        return recipe_is_missing(error);
    }
    g_propagate_error(error, first);
    return FALSE;
}

gboolean kept_recipe_of_store(IngotStore *store, const IngotDescriptor *image, KeptRecipe *out, GError **error)
{
    const ImagePlace place = {.store = store};
    return recipe_find(&place, &image->digest, out, error);
}

gboolean kept_recipe_of_registry(IngotRemote *remote, const char *name, const IngotDigest *image, KeptRecipe *out,
                                 GError **error)
{
    const ImagePlace place = {.remote = remote, .name = name};
    return recipe_find(&place, image, out, error);
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
    /* Its file may have had several names in the tar. */
    IngotDigest digest;
    if (!ok || !ingot_digest_of_file(path, &digest, NULL, error) ||
        !(ingot_digest_equal(&digest, &recipe->digest) || recipe_is_foreign(error))) {
        return NULL;
    }
    return g_steal_pointer(&path);
}
