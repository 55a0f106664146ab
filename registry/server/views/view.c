#include "server/views/view.h"

#include <ingot/error.h>
#include <ingot/manifest.h>
#include <ingot/reference.h>
#include <string.h>

#include "server/views/unpacked.h"

#define CONFIG_MAX (16u << 20) /* bytes */
#define INDEX_MAX (256u << 20)
#define IMAGES_MAX 8 /* whose indexes are kept */

/* An image, as far as its views need it. */
typedef struct {
    gatomicrefcount references;
    Storage *storage;
    IngotDigest manifest;
    char *name;
    json_t *config;
    IngotDisk *disk;        /* to be measured: nothing of it is kept */
    IngotDisk *read;        /* to be read by clients */
    UnpackedDisk *unpacked; /* what is kept of that */
    IngotFormatKeeper keeper;
    GMutex measuring;    /* one at a time: the next finds what the first has kept */
    GMutex lock;         /* taken last */
    GHashTable *formats; /* IngotFormat -> GPtrArray of IngotFormatFile: laid out once */
} Image;

struct Views {
    Storage *storage;
    Unpacked *unpacked;
    GMutex lock;
    GQueue images; /* of Image, the last used first */
};

struct View {
    gatomicrefcount references;
    Image *image;
    const IngotFormat *format;
    GPtrArray *files;
    const IngotFormatFile *file; /* one of them */
    char *tag;
};

/* --- images --- */

static void image_unref(gpointer data)
{
    Image *image = data;
    if (image != NULL && g_atomic_ref_count_dec(&image->references)) {
        g_free(image->name);
        json_decref(image->config);
        ingot_disk_free(image->disk);
        ingot_disk_free(image->read);
        unpacked_disk_free(image->unpacked);
        g_hash_table_unref(image->formats);
        g_mutex_clear(&image->lock);
        g_mutex_clear(&image->measuring);
        g_free(image);
    }
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Image, image_unref)

static GBytes *read_blob(Storage *storage, const char *name, const IngotDigest *digest, gsize limit, GError **error)
{
    g_autoptr(StorageBlob) blob = storage_blob(storage, name, digest, error);
    if (blob == NULL) {
        return NULL;
    }
    gsize size = (gsize)storage_blob_size(blob);
    if (storage_blob_size(blob) > limit) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: too large a blob for what it is", name);
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

static void unref_blob(gpointer blob)
{
    storage_blob_unref(blob);
}

static IngotIndex *open_index(Storage *storage, const char *name, const IngotManifest *manifest, GError **error)
{
    g_autoptr(GBytes) bytes = read_blob(storage, name, &manifest->index.digest, INDEX_MAX, error);
    return bytes == NULL ? NULL
                         : ingot_index_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), name, error);
}

static gboolean open_disk(Image *image, Unpacked *unpacked, const IngotManifest *manifest, GError **error)
{
    g_autoptr(IngotIndex) index = open_index(image->storage, image->name, manifest, error);
    StorageBlob *blob = index == NULL ? NULL : storage_blob(image->storage, image->name, &manifest->disk.digest, error);
    if (blob == NULL) {
        return FALSE;
    }
    image->disk = ingot_disk_new(read_disk, blob, unref_blob, image->name, index);
    image->read = ingot_disk_new(read_disk, storage_blob_ref(blob), unref_blob, image->name, index);
    image->unpacked = unpacked_disk_new(unpacked, index);
    ingot_disk_set_cache(image->read, unpacked_disk_cache(image->unpacked));
    return TRUE;
}

static json_t *open_config(Storage *storage, const char *name, const IngotManifest *manifest, GError **error)
{
    g_autoptr(GBytes) bytes = read_blob(storage, name, &manifest->config.digest, CONFIG_MAX, error);
    return bytes == NULL ? NULL
                         : ingot_config_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), name, error);
}

static GBytes *find_measure(const char *what, gpointer user)
{
    const Image *image = user;
    return storage_measure(image->storage, &image->manifest, what);
}

static void keep_measure(const char *what, GBytes *value, gpointer user)
{
    const Image *image = user;
    storage_keep_measure(image->storage, &image->manifest, what, value);
}

static Image *load_image(Views *views, const char *name, const IngotDigest *digest, GError **error)
{
    Storage *storage = views->storage;
    g_autoptr(IngotManifest) manifest = read_manifest(storage, name, digest, error);
    if (manifest == NULL) {
        return NULL;
    }
    g_autoptr(Image) image = g_new0(Image, 1);
    g_atomic_ref_count_init(&image->references);
    g_mutex_init(&image->lock);
    g_mutex_init(&image->measuring);
    image->formats = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)g_ptr_array_unref);
    image->keeper = (IngotFormatKeeper){.find = find_measure, .keep = keep_measure, .user = image};
    image->storage = storage;
    image->manifest = *digest;
    image->name = g_strdup(name);
    image->config = open_config(storage, name, manifest, error);
    return image->config != NULL && open_disk(image, views->unpacked, manifest, error) ? g_steal_pointer(&image) : NULL;
}

static Image *find_kept(Views *views, const char *name, const IngotDigest *digest)
{
    g_mutex_lock(&views->lock);
    Image *found = NULL;
    for (GList *link = views->images.head; link != NULL && found == NULL; link = link->next) {
        Image *image = link->data;
        if (ingot_digest_equal(&image->manifest, digest) && strcmp(image->name, name) == 0) {
            found = image;
            g_queue_unlink(&views->images, link);
            g_queue_push_head_link(&views->images, link);
            g_atomic_ref_count_inc(&image->references);
            break;
        }
    }
    g_mutex_unlock(&views->lock);
    return found;
}

static void keep(Views *views, Image *image)
{
    g_mutex_lock(&views->lock);
    g_atomic_ref_count_inc(&image->references);
    g_queue_push_head(&views->images, image);
    if (views->images.length > IMAGES_MAX) {
        image_unref(g_queue_pop_tail(&views->images));
    }
    g_mutex_unlock(&views->lock);
}

/* The reference is a tag or a digest. Whether the repository still has the image is asked each time. */
static Image *find_image(Views *views, const char *name, const char *reference, GError **error)
{
    IngotDigest digest;
    gboolean by_digest = strchr(reference, ':') != NULL;
    if (by_digest ? !ingot_digest_parse(reference, &digest, error)
                  : !ingot_tag_check(reference, error) ||
                        !storage_find_tag(views->storage, name, reference, &digest, error)) {
        return NULL;
    }
    if (!storage_has_manifest(views->storage, name, &digest)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "the manifest is not known here");
        return NULL;
    }
    Image *image = find_kept(views, name, &digest);
    if (image == NULL && (image = load_image(views, name, &digest, error)) != NULL) {
        keep(views, image);
    }
    return image;
}

/* --- views --- */

Views *views_new(Storage *storage, const char *folder, guint64 max_unpacked)
{
    Views *views = g_new0(Views, 1);
    views->storage = storage;
    views->unpacked = unpacked_new(folder, max_unpacked);
    g_mutex_init(&views->lock);
    g_queue_init(&views->images);
    return views;
}

void views_free(Views *views)
{
    if (views != NULL) {
        g_queue_clear_full(&views->images, image_unref);
        unpacked_free(views->unpacked);
        g_mutex_clear(&views->lock);
        g_free(views);
    }
}

static IngotFormatInput input_of(const Image *image)
{
    return (IngotFormatInput){
        .disk = image->disk, .config = image->config, .name = image->name, .keeper = &image->keeper};
}

static GPtrArray *find_files(Image *image, const IngotFormat *format)
{
    g_mutex_lock(&image->lock);
    GPtrArray *files = g_hash_table_lookup(image->formats, format);
    if (files != NULL) {
        g_ptr_array_ref(files);
    }
    g_mutex_unlock(&image->lock);
    return files;
}

static GPtrArray *lay_out(Image *image, const IngotFormat *format, GError **error)
{
    const IngotFormatInput input = input_of(image);
    GPtrArray *files = find_files(image, format);
    if (files != NULL) {
        return files;
    }
    g_mutex_lock(&image->measuring);
    files = find_files(image, format);
    if (files == NULL && (files = ingot_format_files(format, &input, error)) != NULL) {
        g_mutex_lock(&image->lock);
        g_hash_table_insert(image->formats, (gpointer)format, g_ptr_array_ref(files));
        g_mutex_unlock(&image->lock);
    }
    g_mutex_unlock(&image->measuring);
    return files;
}

GPtrArray *views_formats(Views *views, const char *name, const char *reference, GError **error)
{
    g_autoptr(Image) image = find_image(views, name, reference, error);
    if (image == NULL) {
        return NULL;
    }
    const IngotFormatInput input = input_of(image);
    GPtrArray *list = g_ptr_array_new();
    for (const IngotFormat *const *format = ingot_formats(); *format != NULL; format++) {
        if (ingot_format_can(*format, &input, NULL)) {
            g_ptr_array_add(list, (gpointer)*format);
        }
    }
    return list;
}

json_t *views_outputs(Views *views, const char *name, const char *reference)
{
    g_autoptr(Image) image = find_image(views, name, reference, NULL);
    return image == NULL ? NULL : json_incref(json_object_get(image->config, "outputs"));
}

static gboolean is_output(const Image *image, const char *format)
{
    const json_t *outputs = json_object_get(image->config, "outputs");
    for (size_t i = 0; i < json_array_size(outputs); i++) {
        if (g_strcmp0(json_string_value(json_array_get(outputs, i)), format) == 0) {
            return TRUE;
        }
    }
    return json_array_size(outputs) == 0;
}

gboolean views_offer(Views *views, const char *name, const char *reference, const char *format)
{
    const IngotFormat *found = ingot_format_find(format, NULL);
    g_autoptr(Image) image = found == NULL ? NULL : find_image(views, name, reference, NULL);
    if (image == NULL || !is_output(image, format)) {
        return FALSE;
    }
    const IngotFormatInput input = input_of(image);
    return ingot_format_can(found, &input, NULL);
}

GPtrArray *views_files(Views *views, const char *name, const char *reference, const char *format, IngotDigest *digest,
                       GError **error)
{
    const IngotFormat *found = ingot_format_find(format, error);
    g_autoptr(Image) image = found == NULL ? NULL : find_image(views, name, reference, error);
    if (image == NULL) {
        return NULL;
    }
    *digest = image->manifest;
    return lay_out(image, found, error);
}

/* Takes the list of files. */
static View *view_new(Image *image, const IngotFormat *format, GPtrArray *files, const IngotFormatFile *file)
{
    View *view = g_new0(View, 1);
    g_autofree char *digest = ingot_digest_to_text(&image->manifest);
    g_autofree char *edition = ingot_format_edition(format, file->name);
    g_atomic_ref_count_init(&view->references);
    g_atomic_ref_count_inc(&image->references);
    view->image = image;
    view->format = format;
    view->files = files;
    view->file = file;
    view->tag = g_strdup_printf("\"%s/%s\"", digest, edition);
    return view;
}

static const IngotFormatFile *find_file(const GPtrArray *files, const char *name, GError **error)
{
    for (guint i = 0; i < files->len; i++) {
        const IngotFormatFile *file = g_ptr_array_index(files, i);
        if (strcmp(file->name, name) == 0) {
            return file;
        }
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "the format has no file of that name");
    return NULL;
}

View *views_open(Views *views, const char *name, const char *reference, const char *format, const char *file,
                 GError **error)
{
    const IngotFormat *found = ingot_format_find(format, error);
    g_autoptr(Image) image = found == NULL ? NULL : find_image(views, name, reference, error);
    g_autoptr(GPtrArray) files = image == NULL ? NULL : lay_out(image, found, error);
    const IngotFormatFile *one = files == NULL ? NULL : find_file(files, file, error);
    return one == NULL ? NULL : view_new(image, found, g_steal_pointer(&files), one);
}

View *view_ref(View *view)
{
    g_atomic_ref_count_inc(&view->references);
    return view;
}

void view_unref(View *view)
{
    if (view != NULL && g_atomic_ref_count_dec(&view->references)) {
        image_unref(view->image);
        g_ptr_array_unref(view->files);
        g_free(view->tag);
        g_free(view);
    }
}

guint64 view_size(const View *view)
{
    return ingot_layout_size(view->file->layout);
}

const char *view_tag(const View *view)
{
    return view->tag;
}

const IngotDigest *view_manifest(const View *view)
{
    return &view->image->manifest;
}

const json_t *view_config(const View *view)
{
    return view->image->config;
}

/* --- reading --- */

gssize view_read(View *view, guint64 offset, void *buffer, gsize size, GError **error)
{
    guint64 end = view_size(view);
    gsize count = offset >= end ? 0 : (gsize)MIN((guint64)size, end - offset);
    return ingot_layout_read(view->file->layout, MIN(offset, end), buffer, count, view->image->read, error)
               ? (gssize)count
               : -1;
}

gboolean view_run(View *view, guint64 offset, guint64 length, int *fd, guint64 *at)
{
    return length > 0 && ingot_layout_run(view->file->layout, offset, length, at) &&
           unpacked_disk_run(view->image->unpacked, *at, length, fd);
}

guint64 views_unpacked(Views *views)
{
    return unpacked_size(views->unpacked);
}

gboolean view_digest(View *view, IngotDigest *digest, GError **error)
{
    Image *image = view->image;
    const IngotFormatInput input = input_of(image);
    g_mutex_lock(&image->measuring);
    gboolean ok = ingot_format_digest(view->format, &input, view->file, digest, error);
    g_mutex_unlock(&image->measuring);
    return ok;
}
