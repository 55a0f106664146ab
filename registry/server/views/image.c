#include "server/views/image.h"

#include <ingot/error.h>
#include <ingot/manifest.h>

#include "base/json.h"
#include "image/oldindex.h"

#define CONFIG_MAX (1u << 20)       /* bytes; a larger config is nobody's but an attacker's: 20 KB are many */
#define OVERHEAD ((gsize)256 << 10) /* bytes of an image's smaller things, and of those of its blobs, about */

static gsize parsed; /* atomic: bytes that all images take */

static void give_memory_back(ViewImage *image, gsize size)
{
    image->parsed -= size;
    g_atomic_pointer_add(&parsed, -(gssize)size);
}

/* Two that come at once may both be refused, but never both let in. */
static gboolean take_memory(ViewImage *image, gsize size, GError **error)
{
    gsize before = (gsize)g_atomic_pointer_add(&parsed, (gssize)size);
    image->parsed += size;
    if (before > VIEW_IMAGES_MAX || size > VIEW_IMAGES_MAX - before) {
        g_set_error(error, VIEW_ERROR, VIEW_ERROR_BUSY, "the images that are being read fill the memory; try again");
        return FALSE;
    }
    return TRUE;
}

GQuark view_error_quark(void)
{
    return g_quark_from_static_string("view-error");
}

static void disk_clear(gpointer data)
{
    ViewDisk *disk = data;
    unpacked_disk_free(disk->unpacked);
    storage_blob_unref(disk->blob);
    ingot_index_unref(disk->index);
}

static const ViewDisk *disk_at(const ViewImage *image, guint i)
{
    return &g_array_index(image->disks, ViewDisk, i);
}

void view_image_unref(ViewImage *image)
{
    if (image != NULL && g_atomic_ref_count_dec(&image->references)) {
        g_free(image->name);
        json_decref(image->config);
        ingot_disk_free(image->closed);
        ingot_disk_free(image->read);
        g_array_unref(image->disks);
        g_hash_table_unref(image->formats);
        g_mutex_clear(&image->lock);
        give_memory_back(image, image->parsed);
        g_free(image);
    }
}

ViewImage *view_image_ref(ViewImage *image)
{
    g_atomic_ref_count_inc(&image->references);
    return image;
}

/* The memory for its bytes, and `factor` times as much for what becomes of them, is taken before they are read: it is
 * *taken, for the caller to give back what it does not need. */
static GBytes *read_blob(ViewImage *image, const IngotDigest *digest, gsize limit, gsize factor, gsize *taken,
                         GError **error)
{
    g_autoptr(StorageBlob) blob = storage_blob(image->storage, image->name, digest, error);
    *taken = 0;
    if (blob == NULL) {
        return NULL;
    }
    gsize size = (gsize)storage_blob_size(blob);
    if (storage_blob_size(blob) > limit) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: too large a blob for what it is", image->name);
        return NULL;
    }
    *taken = size * (1 + factor);
    if (!take_memory(image, *taken, error)) {
        return NULL;
    }
    g_autofree guint8 *data = g_malloc(size + 1);
    return storage_blob_read_all(blob, 0, data, size, error) ? g_bytes_new_take(g_steal_pointer(&data), size) : NULL;
}

static IngotManifest *read_manifest(Storage *storage, const char *name, const IngotDigest *digest, GError **error)
{
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes = storage_manifest(storage, name, digest, &type, error);
    GError *problem = NULL;
    IngotManifest *manifest =
        bytes == NULL ? NULL
                      : ingot_manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), name, &problem);
    if (problem != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s", problem->message);
        g_error_free(problem);
    }
    return manifest;
}

static gboolean read_disk(gpointer blob, guint64 offset, void *buffer, gsize size, GError **error)
{
    return storage_blob_read_all(blob, offset, buffer, size, error);
}

static gboolean read_closed(gpointer user, guint64 offset, void *buffer, gsize size, GError **error)
{
    (void)user, (void)offset, (void)buffer, (void)size;
    g_set_error(error, VIEW_ERROR, VIEW_ERROR_UNMEASURED, "its size is not known yet");
    return FALSE;
}

static void unref_blob(gpointer blob)
{
    storage_blob_unref(blob);
}

/* One that older releases wrote: its beginning says how many chunks it has. Always NULL. */
static IngotIndex *refuse_index(ViewImage *image, const IngotDigest *digest, GError **error)
{
    g_autoptr(StorageBlob) blob = storage_blob(image->storage, image->name, digest, error);
    gsize size = blob == NULL ? 0 : (gsize)MIN(storage_blob_size(blob), OLDINDEX_HEAD);
    g_autofree guint8 *head = g_malloc(size + 1);
    if (blob != NULL && storage_blob_read_all(blob, 0, head, size, error)) {
        oldindex_refuse(head, size, image->name, error);
    }
    return NULL;
}

static IngotIndex *open_index(ViewImage *image, const IngotDiskPair *pair, GError **error)
{
    gsize memory, taken;
    if (pair->index.size > INGOT_INDEX_MAX) {
        return refuse_index(image, &pair->index.digest, error);
    }
    g_autoptr(GBytes) bytes = read_blob(image, &pair->index.digest, INGOT_INDEX_MAX, 0, &taken, error);
    const void *data = bytes == NULL ? NULL : g_bytes_get_data(bytes, NULL);
    IngotIndex *index =
        bytes != NULL &&
                ingot_index_check(data, g_bytes_get_size(bytes), pair->disk.size, image->name, &memory, error) &&
                take_memory(image, memory, error)
            ? ingot_index_parse_for(data, g_bytes_get_size(bytes), pair->disk.size, image->name, error)
            : NULL;
    g_clear_pointer(&bytes, g_bytes_unref);
    give_memory_back(image, taken);
    return index;
}

/* Its blob may lack, unless it is to be whole. */
static gboolean open_disk(ViewImage *image, Unpacked *unpacked, const IngotDiskPair *pair, gboolean whole,
                          GError **error)
{
    GError *problem = NULL;
    ViewDisk disk = {.digest = pair->disk.digest, .index = open_index(image, pair, error)};
    if (disk.index == NULL) {
        return FALSE;
    }
    disk.blob = storage_blob(image->storage, image->name, &disk.digest, &problem);
    if (disk.blob == NULL && (whole || !g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND))) {
        g_propagate_error(error, problem);
        disk_clear(&disk);
        return FALSE;
    }
    g_clear_error(&problem);
    disk.unpacked = disk.blob == NULL ? NULL : unpacked_disk_new(unpacked, disk.index);
    g_array_append_val(image->disks, disk);
    return TRUE;
}

/* All disks, joined; kept: what is decoded of them is. NULL: one of them is not here. */
static IngotDisk *join_blobs(const ViewImage *image, gboolean kept)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)ingot_disk_free);
    for (guint i = 0; i < image->disks->len; i++) {
        const ViewDisk *disk = disk_at(image, i);
        if (disk->blob == NULL) {
            return NULL;
        }
        g_ptr_array_add(list,
                        ingot_disk_new(read_disk, storage_blob_ref(disk->blob), unref_blob, image->name, disk->index));
        if (kept) {
            ingot_disk_set_cache(g_ptr_array_index(list, i), unpacked_disk_cache(disk->unpacked));
        }
    }
    return ingot_disk_join(g_steal_pointer(&list));
}

static IngotDisk *join_closed(const ViewImage *image)
{
    GPtrArray *list = g_ptr_array_new();
    for (guint i = 0; i < image->disks->len; i++) {
        g_ptr_array_add(list, ingot_disk_new(read_closed, NULL, NULL, image->name, disk_at(image, i)->index));
    }
    return ingot_disk_join(list);
}

static gboolean open_disks(ViewImage *image, Unpacked *unpacked, const IngotManifest *manifest, gboolean whole,
                           GError **error)
{
    for (guint i = 0; i < manifest->disks->len; i++) {
        if (!open_disk(image, unpacked, ingot_manifest_disk(manifest, i), whole, error)) {
            return FALSE;
        }
    }
    image->closed = join_closed(image);
    image->read = join_blobs(image, TRUE);
    return TRUE;
}

gboolean view_image_has_come(const ViewImage *image, GError **error)
{
    gboolean here = TRUE;
    for (guint i = 0; here && i < image->disks->len; i++) {
        g_autoptr(StorageBlob) blob = storage_blob(image->storage, image->name, &disk_at(image, i)->digest, error);
        here = blob != NULL;
    }
    return here;
}

gboolean view_image_run(const ViewImage *image, guint64 offset, guint64 size, int *fd, guint64 *at)
{
    guint i = ingot_disk_at(image->read, offset);
    *at = offset - ingot_disk_base(image->read, i);
    return unpacked_disk_run(disk_at(image, i)->unpacked, *at, size, fd);
}

static json_t *open_config(ViewImage *image, const IngotManifest *manifest, GError **error)
{
    gsize taken;
    g_autoptr(GBytes) bytes =
        read_blob(image, &manifest->config.digest, CONFIG_MAX, INGOT_JSON_MEMORY_FACTOR, &taken, error);
    json_t *config =
        bytes == NULL ? NULL
                      : ingot_config_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), image->name, error);
    g_clear_pointer(&bytes, g_bytes_unref);
    image->described = config == NULL ? 0 : MIN(ingot_json_memory(config), taken);
    give_memory_back(image, taken - image->described);
    return config;
}

static GBytes *find_measure(const char *what, gpointer user)
{
    const ViewImage *image = user;
    return storage_measure(image->storage, &image->manifest, what);
}

static void keep_measure(const char *what, GBytes *value, gpointer user)
{
    const ViewImage *image = user;
    storage_keep_measure(image->storage, &image->manifest, what, value);
}

ViewImage *view_image_load(Storage *storage, Unpacked *unpacked, const char *name, const IngotDigest *digest,
                           gboolean whole, GError **error)
{
    g_autoptr(IngotManifest) manifest = read_manifest(storage, name, digest, error);
    if (manifest == NULL) {
        return NULL;
    }
    g_autoptr(ViewImage) image = g_new0(ViewImage, 1);
    g_atomic_ref_count_init(&image->references);
    g_mutex_init(&image->lock);
    image->disks = g_array_new(FALSE, FALSE, sizeof(ViewDisk));
    g_array_set_clear_func(image->disks, disk_clear);
    image->formats = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)g_ptr_array_unref);
    image->keeper = (IngotFormatKeeper){.find = find_measure, .keep = keep_measure, .user = image};
    image->storage = storage;
    image->manifest = *digest;
    image->name = g_strdup(name);
    image->config = open_config(image, manifest, error);
    return image->config != NULL && ingot_config_fits(image->config, manifest, name, error) &&
                   open_disks(image, unpacked, manifest, whole, error)
               ? g_steal_pointer(&image)
               : NULL;
}

gsize view_image_memory(ViewImage *image)
{
    g_mutex_lock(&image->lock);
    gsize laid = image->laid;
    g_mutex_unlock(&image->lock);
    gsize chunks = 0;
    for (guint i = 0; i < image->disks->len; i++) {
        chunks += disk_at(image, i)->index->chunks->len;
    }
    return OVERHEAD + image->described + chunks * sizeof(IngotChunk) + laid;
}

/* --- formats --- */

static IngotFormatInput input_of(const ViewImage *image, IngotDisk *disk)
{
    return (IngotFormatInput){.disk = disk, .config = image->config, .name = image->name, .keeper = &image->keeper};
}

gboolean view_image_can(const ViewImage *image, const IngotFormat *format, GError **error)
{
    const IngotFormatInput input = input_of(image, image->closed);
    return ingot_format_can(format, &input, error);
}

static GPtrArray *find_files(ViewImage *image, const IngotFormat *format)
{
    g_mutex_lock(&image->lock);
    GPtrArray *files = g_hash_table_lookup(image->formats, format);
    if (files != NULL) {
        g_ptr_array_ref(files);
    }
    g_mutex_unlock(&image->lock);
    return files;
}

static gsize memory_of(const GPtrArray *files)
{
    gsize size = 0;
    for (guint i = 0; i < files->len; i++) {
        const IngotFormatFile *file = g_ptr_array_index(files, i);
        size += ingot_layout_memory(file->layout);
    }
    return size;
}

static GPtrArray *lay_out(ViewImage *image, const IngotFormat *format, IngotDisk *disk, GError **error)
{
    const IngotFormatInput input = input_of(image, disk);
    GPtrArray *files = find_files(image, format);
    if (files == NULL && (files = ingot_format_files(format, &input, error)) != NULL) {
        g_mutex_lock(&image->lock);
        if (g_hash_table_insert(image->formats, (gpointer)format, g_ptr_array_ref(files))) {
            const gsize memory = memory_of(files);
            image->laid += memory;
            image->parsed += memory; /* it is there: those who come next may find no room */
            g_atomic_pointer_add(&parsed, (gssize)memory);
        }
        g_mutex_unlock(&image->lock);
    }
    return files;
}

GPtrArray *view_image_files(ViewImage *image, const IngotFormat *format, GError **error)
{
    return lay_out(image, format, image->closed, error);
}

gboolean view_image_digest(ViewImage *image, const IngotFormat *format, const IngotFormatFile *file,
                           IngotDigest *digest, GError **error)
{
    const IngotFormatInput input = input_of(image, image->closed);
    if (ingot_format_digest_kept(format, &input, file, digest)) {
        return TRUE;
    }
    g_set_error(error, VIEW_ERROR, VIEW_ERROR_UNMEASURED, "the sum of %s is not known yet", file->name);
    return FALSE;
}

/* What could not be kept would be worked out again for whoever asks next, for ever. */
static gboolean sum_file(ViewImage *image, const IngotFormat *format, const IngotFormatInput *input,
                         const IngotFormatFile *file, GError **error)
{
    IngotDigest digest;
    if (!ingot_format_digest(format, input, file, &digest, error)) {
        return FALSE;
    }
    if (!ingot_format_digest_kept(format, input, file, &digest)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NO_SPACE, "%s: the sum of %s cannot be kept", image->name,
                    file->name);
        return FALSE;
    }
    return TRUE;
}

gboolean view_image_measure(ViewImage *image, const IngotFormat *format, gboolean sums, IngotDiskGate gate,
                            gpointer user, GError **error)
{
    /* One of its own, of which nothing is kept: it goes through the disks once. */
    g_autoptr(IngotDisk) disk = join_blobs(image, FALSE);
    ingot_disk_set_gate(disk, gate, user);
    const IngotFormatInput input = input_of(image, disk);
    g_autoptr(GPtrArray) files = lay_out(image, format, disk, error);
    gboolean ok = files != NULL;
    for (guint i = 0; ok && sums && i < files->len; i++) {
        ok = sum_file(image, format, &input, g_ptr_array_index(files, i), error);
    }
    return ok;
}

gboolean view_image_is_for(const ViewImage *image, const char *format)
{
    const json_t *outputs = json_object_get(image->config, "outputs");
    return json_array_size(outputs) == 0 || ingot_json_has_text(outputs, format);
}
