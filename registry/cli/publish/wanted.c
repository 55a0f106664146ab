#include "cli/publish/wanted.h"

#include <ingot/error.h>
#include <ingot/remote.h>
#include <ingot/transfer.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

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
        if (ingot_tag_is_version(tags[i])) {
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

/* --- the images of an index --- */

/* Of what is no index, and of an index of other things, the reference itself stays. */
static void add_entries(const json_t *root, IngotReference *reference, GPtrArray *images)
{
    const json_t *entries = json_object_get(root, "manifests");
    guint before = images->len;
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *entry = json_array_get(entries, i);
        const char *digest = json_string_value(json_object_get(entry, "digest"));
        IngotDigest parsed;
        if (digest != NULL && ingot_digest_parse(digest, &parsed, NULL) &&
            g_strcmp0(json_string_value(json_object_get(entry, "artifactType")), INGOT_TYPE_IMAGE) == 0) {
            add_wanted(images, reference, digest);
        }
    }
    if (images->len == before) {
        add_wanted(images, reference, NULL);
    }
}

static gboolean resolve(const WantedOptions *options, IngotReference *reference, GPtrArray *images, GError **error)
{
    IngotDescriptor manifest;
    g_autoptr(IngotRemote) remote = ingot_remote_new(reference->host, options->remote, error);
    g_autoptr(GBytes) bytes =
        remote == NULL ? NULL : ingot_transfer_manifest(remote, reference, &manifest, NULL, error);
    g_autofree char *what = ingot_reference_to_text(reference);
    g_autoptr(json_t) root = ingot_json_parse_bytes(bytes, what, INGOT_MANIFEST_VALUES, error);
    if (root == NULL) {
        return FALSE;
    }
    add_entries(root, reference, images);
    return TRUE;
}

GPtrArray *wanted_find(IngotStore *store, const WantedOptions *options, GError **error)
{
    g_autoptr(GPtrArray) named = named_images(store, options, error);
    g_autoptr(GPtrArray) images = g_ptr_array_new_with_free_func(wanted_free);
    for (guint i = 0; named != NULL && i < named->len; i++) {
        IngotReference *reference = g_ptr_array_index(named, i);
        gboolean resolves = reference->host != NULL && reference->digest == NULL && options->ask &&
                            options->remote->architecture == NULL;
        if (!resolves) {
            add_wanted(images, reference, NULL);
        } else if (!resolve(options, reference, images, error)) {
            return NULL;
        }
    }
    return named == NULL ? NULL : g_steal_pointer(&images);
}
