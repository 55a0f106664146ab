#include "cli/publish/wanted.h"

#include <ingot/error.h>
#include <ingot/remote.h>
#include <ingot/transfer.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"

static void wanted_free(gpointer data)
{
    Wanted *wanted = data;
    ingot_reference_free(wanted->reference);
    g_free(wanted);
}

/* digest: of an entry of the index that the tag names; NULL: the reference's own. */
static void add_wanted(GPtrArray *images, const IngotReference *reference, const char *digest)
{
    Wanted *wanted = g_new0(Wanted, 1);
    wanted->reference = ingot_reference_new(reference->host, reference->name, reference->tag,
                                            digest == NULL ? reference->digest : digest);
    wanted->is_entry = digest != NULL;
    g_ptr_array_add(images, wanted);
}

static int by_tag(const void *a, const void *b)
{
    return ingot_tag_compare(*(char *const *)a, *(char *const *)b);
}

/* --- the versions of a name --- */

static char **tags_in_store(IngotStore *store, const char *name, GError **error)
{
    g_autoptr(GPtrArray) entries = ingot_store_list(store, error);
    g_autoptr(GStrvBuilder) tags = g_strv_builder_new();
    for (guint i = 0; entries != NULL && i < entries->len; i++) {
        const IngotStoreEntry *entry = g_ptr_array_index(entries, i);
        if (entry->tag != NULL && strcmp(entry->name, name) == 0) {
            g_strv_builder_add(tags, entry->tag);
        }
    }
    return entries == NULL ? NULL : g_strv_builder_end(tags);
}

/* As far as registries are asked; else what the store has of them. */
static char **tags_of(IngotStore *store, const WantedOptions *options, const IngotReference *reference, GError **error)
{
    if (reference->host == NULL || !options->ask) {
        g_autofree char *name = ingot_reference_local_name(reference);
        return tags_in_store(store, name, error);
    }
    g_autoptr(IngotRemote) remote = ingot_remote_new(reference->host, options->remote, error);
    return remote == NULL ? NULL : ingot_remote_list_tags(remote, reference->name, error);
}

static gboolean add_versions(IngotStore *store, const WantedOptions *options, const IngotReference *of,
                             GPtrArray *images, GError **error)
{
    g_autofree char *text = ingot_reference_to_text(of);
    if (of->tag != NULL || of->digest != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: --all takes names without a tag", text);
        return FALSE;
    }
    g_auto(GStrv) tags = tags_of(store, options, of, error);
    guint before = images->len;
    if (tags == NULL) {
        return FALSE;
    }
    qsort(tags, g_strv_length(tags), sizeof *tags, by_tag);
    for (guint i = 0; tags[i] != NULL; i++) {
        gboolean again = i > 0 && strcmp(tags[i], tags[i - 1]) == 0; /* a row for each architecture */
        if (ingot_tag_is_version(tags[i]) && !again) {
            g_ptr_array_add(images, ingot_reference_new(of->host, of->name, tags[i], NULL));
        }
    }
    if (images->len == before) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: %s has no version of it", text,
                    of->host == NULL ? "the store" : "the registry");
    }
    return images->len > before;
}

static GPtrArray *named_images(IngotStore *store, const WantedOptions *options, GError **error)
{
    g_autoptr(GPtrArray) images = g_ptr_array_new_with_free_func((GDestroyNotify)ingot_reference_free);
    for (const char *const *text = options->texts; *text != NULL; text++) {
        g_autoptr(IngotReference) reference = ingot_reference_parse(*text, error);
        if (reference == NULL || (options->all && !add_versions(store, options, reference, images, error))) {
            return NULL;
        }
        if (!options->all) {
            g_ptr_array_add(images, g_steal_pointer(&reference));
        }
    }
    return g_steal_pointer(&images);
}

/* --- what is left out --- */

gboolean wanted_leaves_out(const WantedOptions *options, GError **problem)
{
    gboolean is_none = g_error_matches(*problem, INGOT_ERROR, INGOT_ERROR_REFUSED) ||
                       g_error_matches(*problem, INGOT_ERROR, INGOT_ERROR_INVALID) ||
                       g_error_matches(*problem, INGOT_ERROR, INGOT_ERROR_TOO_NEW) ||
                       g_error_matches(*problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND);
    if (!options->all || !is_none) {
        return FALSE;
    }
    ingot_progress_warning(options->progress, "left out: %s", (*problem)->message);
    if (*options->left == NULL) {
        *options->left = g_steal_pointer(problem);
    }
    g_clear_error(problem);
    return TRUE;
}

/* --- the images of a store's name --- */

/* A copy of what was published has one for each architecture under one name, as a registry's index. */
static gboolean add_stored(IngotStore *store, const IngotReference *reference, GPtrArray *images, GError **error)
{
    g_autofree char *name = ingot_reference_local_name(reference);
    g_auto(GStrv) tags = reference->tag == NULL ? tags_in_store(store, name, error) : NULL;
    const char *tag = reference->tag != NULL            ? reference->tag
                      : tags != NULL && tags[0] != NULL ? ingot_tag_choose(name, " in the store", tags, NULL)
                                                        : NULL;
    g_autoptr(GPtrArray) entries = ingot_store_list(store, error);
    guint before = images->len;
    if (entries == NULL || (reference->tag == NULL && tags == NULL)) {
        return FALSE;
    }
    g_autoptr(IngotReference) tagged = ingot_reference_new(reference->host, reference->name, tag, NULL);
    for (guint i = 0; i < entries->len; i++) {
        const IngotStoreEntry *entry = g_ptr_array_index(entries, i);
        if (tag != NULL && strcmp(entry->name, name) == 0 && g_strcmp0(entry->tag, tag) == 0) {
            g_autofree char *digest = ingot_digest_to_text(&entry->manifest.digest);
            add_wanted(images, tagged, digest);
        }
    }
    if (images->len - before <= 1) { /* also none, of which it is said what is wrong */
        g_ptr_array_set_size(images, (gint)before);
        add_wanted(images, reference, NULL);
    }
    return TRUE;
}

/* --- the images of an index --- */

/* An index on its way to its images. */
typedef struct {
    const WantedOptions *options;
    IngotRemote *remote;
    const IngotReference *reference;
    const char *what; /* the reference */
} Indexed;

static gboolean is_image(GBytes *bytes, const char *what, GError **error)
{
    g_autoptr(IngotManifest) manifest =
        ingot_manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), what, error);
    return manifest != NULL;
}

/* Other tools leave artifactType out of an index: the manifest says what it is. *found FALSE: no image of Ingot's. */
static gboolean read_entry(const Indexed *indexed, const char *digest, gboolean *found, GError **error)
{
    IngotDescriptor manifest;
    GError *problem = NULL;
    g_autoptr(GBytes) bytes =
        ingot_remote_get_manifest(indexed->remote, indexed->reference->name, digest, &manifest, NULL, &problem);
    *found = bytes != NULL && is_image(bytes, indexed->what, &problem);
    if (*found) {
        return TRUE;
    }
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INVALID) ||
        g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        ingot_progress_warning(indexed->options->progress, "left out: %s of %s's index: %s", digest, indexed->what,
                               problem->message);
        g_error_free(problem);
        return TRUE;
    }
    if (wanted_leaves_out(indexed->options, &problem)) {
        return TRUE;
    }
    g_propagate_error(error, problem);
    return FALSE;
}

static gboolean entry_is_image(const Indexed *indexed, const json_t *entry, const char *digest, gboolean *found,
                               GError **error)
{
    const char *type = json_string_value(json_object_get(entry, "artifactType")),
               *media = json_string_value(json_object_get(entry, "mediaType"));
    *found = g_strcmp0(type, INGOT_TYPE_IMAGE) == 0;
    if (*found) {
        return TRUE;
    }
    if (type == NULL && (media == NULL || strcmp(media, INGOT_TYPE_MANIFEST) == 0)) {
        return read_entry(indexed, digest, found, error);
    }
    g_autofree char *line = ingot_text_line(type == NULL ? media : type);
    ingot_progress_warning(indexed->options->progress, "left out: %s of %s's index is no image of Ingot's but %s",
                           digest, indexed->what, line);
    return TRUE;
}

static gboolean add_entries(const Indexed *indexed, const json_t *entries, GPtrArray *images, GError **error)
{
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *entry = json_array_get(entries, i);
        const char *digest = json_string_value(json_object_get(entry, "digest"));
        IngotDigest parsed;
        gboolean found = FALSE;
        if (digest != NULL && ingot_digest_parse(digest, &parsed, NULL) &&
            !entry_is_image(indexed, entry, digest, &found, error)) {
            return FALSE;
        }
        if (found) {
            add_wanted(images, indexed->reference, digest);
        }
    }
    return TRUE;
}

/* Of an index of other things the reference itself stays, of which it is said what is wrong; among all versions it is
 * none. */
static gboolean add_index(const Indexed *indexed, const json_t *entries, GPtrArray *images, GError **error)
{
    guint before = images->len;
    if (!add_entries(indexed, entries, images, error)) {
        return FALSE;
    }
    if (images->len == before && indexed->options->all) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: an index without an image of Ingot's", indexed->what);
        return FALSE;
    }
    if (images->len == before) {
        add_wanted(images, indexed->reference, NULL);
    }
    return TRUE;
}

static gboolean resolve(const WantedOptions *options, IngotReference *reference, GPtrArray *images, GError **error)
{
    IngotDescriptor manifest;
    g_autoptr(IngotRemote) remote = ingot_remote_new(reference->host, options->remote, error);
    g_autoptr(GBytes) bytes =
        remote == NULL ? NULL : ingot_transfer_manifest(remote, reference, &manifest, NULL, error);
    g_autofree char *what = ingot_reference_to_text(reference);
    g_autoptr(json_t) root = ingot_json_parse_bytes(bytes, what, INGOT_MANIFEST_VALUES, error);
    const json_t *entries = json_object_get(root, "manifests");
    const Indexed indexed = {.options = options, .remote = remote, .reference = reference, .what = what};
    if (root == NULL) {
        return FALSE;
    }
    if (json_is_array(entries) && options->remote->architecture == NULL) {
        return add_index(&indexed, entries, images, error);
    }
    if (options->all && !json_is_array(entries) && !is_image(bytes, what, error)) {
        return FALSE;
    }
    add_wanted(images, reference, NULL);
    return TRUE;
}

static gboolean add_named(IngotStore *store, const WantedOptions *options, IngotReference *reference, GPtrArray *images,
                          GError **error)
{
    GError *problem = NULL;
    gboolean asks = reference->host != NULL && reference->digest == NULL && options->ask;
    if ((reference->host == NULL || !options->ask) && reference->digest == NULL &&
        options->remote->architecture == NULL) {
        return add_stored(store, reference, images, error);
    }
    if (!asks || (options->remote->architecture != NULL && !options->all)) {
        add_wanted(images, reference, NULL);
        return TRUE;
    }
    if (resolve(options, reference, images, &problem) || wanted_leaves_out(options, &problem)) {
        return TRUE;
    }
    g_propagate_error(error, problem);
    return FALSE;
}

GPtrArray *wanted_find(IngotStore *store, const WantedOptions *options, GError **error)
{
    g_autoptr(GPtrArray) named = named_images(store, options, error);
    g_autoptr(GPtrArray) images = g_ptr_array_new_with_free_func(wanted_free);
    for (guint i = 0; named != NULL && i < named->len; i++) {
        if (!add_named(store, options, g_ptr_array_index(named, i), images, error)) {
            return NULL;
        }
    }
    return named == NULL ? NULL : g_steal_pointer(&images);
}
