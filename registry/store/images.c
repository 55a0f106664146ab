/* Images: a manifest with its config, index and disk. */
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "image/oldindex.h"
#include "store/frametables.h"
#include "store/layout.h"

#define CONFIG_MAX (16u << 20) /* bytes */

void ingot_image_free(IngotImage *image)
{
    if (image != NULL) {
        ingot_store_entry_free(image->entry);
        ingot_manifest_free(image->manifest);
        json_decref(image->config);
        ingot_index_unref(image->index);
        g_free(image->disk_path);
        g_free(image->checked_path);
        g_free(image);
    }
}

static gboolean load(IngotStore *store, IngotImage *image, GError **error)
{
    g_autofree char *path = ingot_store_blob_path(store, &image->entry->manifest.digest);
    g_autoptr(GBytes) bytes = ingot_store_read(store, &image->entry->manifest.digest, INGOT_MANIFEST_MAX, error);
    image->manifest = bytes == NULL
                          ? NULL
                          : ingot_manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), path, error);
    if (image->manifest == NULL) {
        return FALSE;
    }
    g_autofree char *config_path = ingot_store_blob_path(store, &image->manifest->config.digest);
    g_autoptr(GBytes) config = ingot_store_read(store, &image->manifest->config.digest, CONFIG_MAX, error);
    image->config = config == NULL ? NULL
                                   : ingot_config_parse(g_bytes_get_data(config, NULL), g_bytes_get_size(config),
                                                        config_path, error);
    if (image->config == NULL) {
        return FALSE;
    }
    g_autofree char *index_path = ingot_store_blob_path(store, &image->manifest->index.digest);
    g_autoptr(GBytes) index = ingot_store_read(store, &image->manifest->index.digest, OLDINDEX_MAX, error);
    image->index = index == NULL ? NULL
                                 : oldindex_parse(g_bytes_get_data(index, NULL), g_bytes_get_size(index),
                                                  image->manifest->disk.size, index_path, error);
    image->disk_path = ingot_store_blob_path(store, &image->manifest->disk.digest);
    image->checked_path = frametables_checked(store, &image->manifest->disk.digest);
    return image->index != NULL;
}

IngotDisk *ingot_image_disk(const IngotImage *image, GError **error)
{
    IngotDisk *disk = ingot_disk_open(image->disk_path, image->index, error);
    g_autoptr(GBytes) table = disk == NULL ? NULL : frametables_read(image->checked_path);
    if (disk != NULL) {
        ingot_disk_remember(disk, table);
    }
    return disk;
}

void ingot_image_remember(const IngotImage *image, IngotDisk *disk)
{
    g_autoptr(GBytes) table = ingot_disk_table(disk);
    if (table != NULL) {
        frametables_write(image->checked_path, table);
        if (!g_file_test(image->disk_path, G_FILE_TEST_EXISTS)) { /* removed meanwhile */
            unlink(image->checked_path);
        }
    }
}

/* A disk that is missing, or was cut, is as good as not pulled; its bytes are looked at when they are read. */
static gboolean check_disk(const IngotImage *image, GError **error)
{
    struct stat st;
    if (stat(image->disk_path, &st) == 0 && S_ISREG(st.st_mode) && (guint64)st.st_size == image->manifest->disk.size) {
        return TRUE;
    }
    g_autofree char *digest = ingot_digest_to_text(&image->entry->manifest.digest);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s@%s: its disk is not in the store, or not all of it: %s",
                image->entry->name, digest, image->disk_path);
    return FALSE;
}

IngotImage *ingot_store_image(IngotStore *store, const IngotReference *reference, GError **error)
{
    g_autoptr(IngotImage) image = g_new0(IngotImage, 1);
    image->entry = ingot_store_find(store, reference, error);
    if (image->entry == NULL || !load(store, image, error) || !check_disk(image, error)) {
        return NULL;
    }
    return g_steal_pointer(&image);
}

/* What the entry of a reference would say, if its name pointed at its digest. */
static IngotStoreEntry *entry_of_digest(IngotStore *store, const IngotReference *reference, GError **error)
{
    g_autoptr(IngotStoreEntry) entry = g_new0(IngotStoreEntry, 1);
    if (reference->digest == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: a reference with a digest is expected",
                    reference->name);
        return NULL;
    }
    if (!ingot_digest_parse(reference->digest, &entry->manifest.digest, error)) {
        return NULL;
    }
    g_autoptr(GBytes) bytes = ingot_store_read(store, &entry->manifest.digest, INGOT_MANIFEST_MAX, error);
    if (bytes == NULL) {
        return NULL;
    }
    entry->manifest.size = g_bytes_get_size(bytes);
    entry->tag = g_strdup(reference->tag);
    entry->name = ingot_reference_local_name(reference);
    return g_steal_pointer(&entry);
}

IngotImage *ingot_store_image_by_digest(IngotStore *store, const IngotReference *reference, GError **error)
{
    g_autoptr(IngotImage) image = g_new0(IngotImage, 1);
    image->entry = entry_of_digest(store, reference, error);
    if (image->entry == NULL || !load(store, image, error) || !check_disk(image, error)) {
        return NULL;
    }
    return g_steal_pointer(&image);
}

gboolean ingot_store_hold_image(IngotStore *store, const IngotImage *image)
{
    return ingot_store_hold(store, &image->entry->manifest.digest) &&
           ingot_store_hold(store, &image->manifest->config.digest) &&
           ingot_store_hold(store, &image->manifest->index.digest) &&
           ingot_store_hold(store, &image->manifest->disk.digest);
}

gboolean ingot_store_add_image(IngotStore *store, const char *name, const char *tag, json_t *config,
                               json_t *annotations, const IngotDescriptor *disk, IngotIndex *index,
                               IngotDescriptor *manifest, GError **error)
{
    IngotManifest parts = {.disk = *disk, .annotations = annotations};
    g_autofree char *config_text = ingot_json_canonical(config);
    g_autoptr(GBytes) index_bytes = ingot_index_serialize(index);
    gsize memory;
    /* What no reader takes is not stored. */
    if (!ingot_index_check(g_bytes_get_data(index_bytes, NULL), g_bytes_get_size(index_bytes), disk->size,
                           name == NULL ? "the new image" : name, &memory, error)) {
        return FALSE;
    }
    if (!ingot_store_put(store, config_text, strlen(config_text), &parts.config, error) ||
        !ingot_store_put(store, g_bytes_get_data(index_bytes, NULL), g_bytes_get_size(index_bytes), &parts.index,
                         error)) {
        return FALSE;
    }
    g_autofree char *text = ingot_manifest_to_text(&parts);
    return ingot_store_put(store, text, strlen(text), manifest, error) &&
           (name == NULL || ingot_store_tag(store, name, tag, manifest, error));
}
