/* Images: a manifest with its config, index and disk. */
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "image/indexes.h"
#include "image/oldindex.h"
#include "store/frametables.h"
#include "store/layout.h"

#define CONFIG_MAX (16u << 20) /* bytes */

/* --- reading --- */

static void disk_clear(gpointer data)
{
    IngotImageDisk *disk = data;
    ingot_index_unref(disk->index);
    g_free(disk->path);
    g_free(disk->checked_path);
}

static IngotImage *image_new(IngotStoreEntry *entry)
{
    IngotImage *image = g_new0(IngotImage, 1);
    image->entry = entry;
    image->disks = g_array_new(FALSE, FALSE, sizeof(IngotImageDisk));
    g_array_set_clear_func(image->disks, disk_clear);
    return image;
}

void ingot_image_free(IngotImage *image)
{
    if (image != NULL) {
        ingot_store_entry_free(image->entry);
        ingot_manifest_free(image->manifest);
        json_decref(image->config);
        g_array_unref(image->disks);
        g_free(image);
    }
}

guint64 ingot_image_size(const IngotImage *image)
{
    guint64 size = 0;
    for (guint i = 0; i < image->disks->len; i++) {
        size += ingot_image_part(image, i)->index->disk_size;
    }
    return size;
}

/* *memory: of the indexes so far. */
static gboolean load_disk(IngotStore *store, IngotImage *image, const IngotDiskPair *pair, gsize *memory,
                          GError **error)
{
    g_autofree char *path = ingot_store_blob_path(store, &pair->index.digest);
    g_autoptr(GBytes) bytes = ingot_store_read(store, &pair->index.digest, OLDINDEX_MAX, error);
    if (bytes == NULL ||
        (image->manifest->disks->len > 1 && !indexes_fit(bytes, pair->disk.size, path, memory, error))) {
        return FALSE;
    }
    IngotIndex *index =
        oldindex_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), pair->disk.size, path, error);
    if (index == NULL) {
        return FALSE;
    }
    const IngotImageDisk disk = {.index = index,
                                 .path = ingot_store_blob_path(store, &pair->disk.digest),
                                 .checked_path = frametables_checked(store, &pair->disk.digest)};
    g_array_append_val(image->disks, disk);
    return TRUE;
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
    if (image->config == NULL || !ingot_config_fits(image->config, image->manifest, path, error)) {
        return FALSE;
    }
    gsize memory = 0;
    for (guint i = 0; i < image->manifest->disks->len; i++) {
        if (!load_disk(store, image, ingot_manifest_disk(image->manifest, i), &memory, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static IngotDisk *open_disk(const IngotImageDisk *part, GError **error)
{
    IngotDisk *disk = ingot_disk_open(part->path, part->index, error);
    g_autoptr(GBytes) table = disk == NULL ? NULL : frametables_read(part->checked_path);
    if (disk != NULL) {
        ingot_disk_remember(disk, table);
    }
    return disk;
}

IngotDisk *ingot_image_disk(const IngotImage *image, GError **error)
{
    g_autoptr(GPtrArray) disks = g_ptr_array_new_with_free_func((GDestroyNotify)ingot_disk_free);
    for (guint i = 0; i < image->disks->len; i++) {
        IngotDisk *disk = open_disk(ingot_image_part(image, i), error);
        if (disk == NULL) {
            return NULL;
        }
        g_ptr_array_add(disks, disk);
    }
    return ingot_disk_join(g_steal_pointer(&disks));
}

IngotDisk *ingot_image_only_disk(const IngotImage *image, GError **error)
{
    return ingot_manifest_has_one_disk(image->manifest, image->entry->name, error) ? ingot_image_disk(image, error)
                                                                                   : NULL;
}

static void remember(const IngotImageDisk *part, IngotDisk *disk)
{
    g_autoptr(GBytes) table = ingot_disk_table(disk);
    if (table != NULL) {
        frametables_write(part->checked_path, table);
        if (!g_file_test(part->path, G_FILE_TEST_EXISTS)) { /* removed meanwhile */
            unlink(part->checked_path);
        }
    }
}

void ingot_image_remember(const IngotImage *image, IngotDisk *disk)
{
    for (guint i = 0; i < image->disks->len; i++) {
        remember(ingot_image_part(image, i), ingot_disk_member(disk, i));
    }
}

/* A disk that is missing, or was cut, is as good as not pulled; its bytes are looked at when they are read. */
static gboolean check_disk(const IngotImage *image, guint i, GError **error)
{
    const char *path = ingot_image_part(image, i)->path;
    struct stat st;
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
        (guint64)st.st_size == ingot_manifest_disk(image->manifest, i)->disk.size) {
        return TRUE;
    }
    g_autofree char *digest = ingot_digest_to_text(&image->entry->manifest.digest);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s@%s: its disk is not in the store, or not all of it: %s",
                image->entry->name, digest, path);
    return FALSE;
}

/* Takes the entry; NULL: there is none. */
static IngotImage *open_image(IngotStore *store, IngotStoreEntry *entry, GError **error)
{
    g_autoptr(IngotImage) image = image_new(entry);
    if (entry == NULL || !load(store, image, error)) {
        return NULL;
    }
    for (guint i = 0; i < image->disks->len; i++) {
        if (!check_disk(image, i, error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&image);
}

IngotImage *ingot_store_image(IngotStore *store, const IngotReference *reference, GError **error)
{
    return open_image(store, ingot_store_find(store, reference, error), error);
}

IngotImage *ingot_store_image_for(IngotStore *store, const IngotReference *reference, const char *architecture,
                                  GError **error)
{
    return open_image(store, ingot_store_find_for(store, reference, architecture, error), error);
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
    return open_image(store, entry_of_digest(store, reference, error), error);
}

static gboolean hold_pair(IngotStore *store, const IngotDiskPair *pair)
{
    return ingot_store_hold(store, &pair->index.digest) && ingot_store_hold(store, &pair->disk.digest);
}

gboolean ingot_store_hold_image(IngotStore *store, const IngotImage *image)
{
    gboolean held = ingot_store_hold(store, &image->entry->manifest.digest) &&
                    ingot_store_hold(store, &image->manifest->config.digest);
    for (guint i = 0; held && i < image->disks->len; i++) {
        held = hold_pair(store, ingot_manifest_disk(image->manifest, i));
    }
    return held;
}

/* --- making --- */

/* What no reader takes is not stored. */
static gboolean add_disk(IngotStore *store, IngotManifest *manifest, const IngotPackedDisk *disk, const char *what,
                         gsize *memory, GError **error)
{
    g_autoptr(GBytes) bytes = ingot_index_serialize(disk->index);
    IngotDescriptor index;
    if (!indexes_fit(bytes, disk->blob.size, what, memory, error) ||
        !ingot_store_put(store, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), &index, error)) {
        return FALSE;
    }
    ingot_manifest_add_disk(manifest, &index, &disk->blob);
    return TRUE;
}

gboolean ingot_store_add_image(IngotStore *store, const char *name, const char *tag, json_t *config,
                               json_t *annotations, const IngotPackedDisk *disks, guint count,
                               IngotDescriptor *manifest, GError **error)
{
    g_return_val_if_fail(count == ingot_config_disks(config), FALSE);
    const char *what = name == NULL ? "the new image" : name;
    g_autofree char *config_text = ingot_json_canonical(config);
    g_autoptr(IngotManifest) parts = ingot_manifest_new(&(IngotDescriptor){0}, annotations);
    gsize memory = 0;
    for (guint i = 0; i < count; i++) {
        if (!add_disk(store, parts, &disks[i], what, &memory, error)) {
            return FALSE;
        }
    }
    if (!ingot_store_put(store, config_text, strlen(config_text), &parts->config, error)) {
        return FALSE;
    }
    g_autofree char *text = ingot_manifest_to_text(parts);
    return ingot_store_put(store, text, strlen(text), manifest, error) &&
           (name == NULL || ingot_store_tag(store, name, tag, manifest, error));
}
