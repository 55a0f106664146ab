#include "server/views/view.h"

#include <ingot/error.h>
#include <ingot/reference.h>
#include <string.h>

#include "server/channel/announce.h"
#include "server/storage/pulls.h"
#include "server/views/imagecache.h"

struct Views {
    Storage *storage;
    Unpacked *unpacked;
    ImageCache *images;
};

struct View {
    gatomicrefcount references;
    ViewImage *image;
    const IngotFormat *format;
    GPtrArray *files;
    const IngotFormatFile *file; /* one of them */
    char *tag;
};

/* --- images --- */

/* Where images fill the memory, those that are only kept give way. */
static ViewImage *load_image(Views *views, const char *name, const IngotDigest *digest, gboolean whole, GError **error)
{
    GError *problem = NULL;
    ViewImage *image = view_image_load(views->storage, views->unpacked, name, digest, whole, &problem);
    if (g_error_matches(problem, VIEW_ERROR, VIEW_ERROR_BUSY)) {
        g_clear_error(&problem);
        image_cache_drop(views->images, NULL, NULL);
        image = view_image_load(views->storage, views->unpacked, name, digest, whole, &problem);
    }
    if (image == NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    image_cache_add(views->images, image);
    return image;
}

gboolean views_may_be_seen(Views *views, const char *name, const IngotDigest *digest, GError **error)
{
    GError *problem = NULL;
    g_autofree char *why = NULL;
    if (!storage_has_manifest(views->storage, name, digest)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "the manifest is not known here");
        return FALSE;
    }
    if (state_stands_in_the_way(views->storage, name, digest, &why, &problem)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_REFUSED, "%s", why);
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    return why == NULL;
}

/* whole: as for view_image_load. */
static ViewImage *find_kept_image(Views *views, const char *name, const IngotDigest *digest, gboolean whole,
                                  GError **error)
{
    ViewImage *image = image_cache_find(views->images, name, digest);
    if (image != NULL && whole && image->read == NULL) {
        /* It may have come meanwhile; while it has not, the indexes are not read again to find that out. */
        gboolean come = view_image_has_come(image, error);
        g_clear_pointer(&image, view_image_unref);
        if (!come) {
            return NULL;
        }
    }
    return image != NULL ? image : load_image(views, name, digest, whole, error);
}

/* The reference is a tag or a digest. Whether the repository still has the image is asked each time. */
static ViewImage *find_image(Views *views, const char *name, const char *reference, GError **error)
{
    IngotDigest digest;
    gboolean by_digest = strchr(reference, ':') != NULL;
    if (by_digest ? !storage_digest(views->storage, reference, &digest, error)
                  : !ingot_tag_check(reference, error) ||
                        !storage_find_tag(views->storage, name, reference, &digest, error)) {
        return NULL;
    }
    return views_may_be_seen(views, name, &digest, error) ? find_kept_image(views, name, &digest, TRUE, error) : NULL;
}

/* --- views --- */

Views *views_new(Storage *storage, const char *folder, guint64 max_unpacked)
{
    Views *views = g_new0(Views, 1);
    views->storage = storage;
    views->unpacked = unpacked_new(folder, max_unpacked);
    views->images = image_cache_new();
    return views;
}

void views_free(Views *views)
{
    if (views != NULL) {
        image_cache_free(views->images);
        unpacked_free(views->unpacked);
        g_free(views);
    }
}

GPtrArray *views_formats(Views *views, const char *name, const char *reference, GError **error)
{
    g_autoptr(ViewImage) image = find_image(views, name, reference, error);
    if (image == NULL) {
        return NULL;
    }
    GPtrArray *list = g_ptr_array_new();
    for (const IngotFormat *const *format = ingot_formats(); *format != NULL; format++) {
        if (view_image_can(image, *format, NULL)) {
            g_ptr_array_add(list, (gpointer)*format);
        }
    }
    return list;
}

GPtrArray *views_files(Views *views, const char *name, const char *reference, const char *format, IngotDigest *digest,
                       GError **error)
{
    const IngotFormat *found = ingot_format_find(format, error);
    g_autoptr(ViewImage) image = found == NULL ? NULL : find_image(views, name, reference, error);
    if (image == NULL) {
        return NULL;
    }
    *digest = image->manifest;
    return view_image_files(image, found, error);
}

/* Takes the list of files. */
static View *view_new(ViewImage *image, const IngotFormat *format, GPtrArray *files, const IngotFormatFile *file)
{
    View *view = g_new0(View, 1);
    g_atomic_ref_count_init(&view->references);
    view_image_ref(image);
    view->image = image;
    view->format = format;
    view->files = files;
    view->file = file;
    view->tag = ingot_format_tag(format, file->name, &image->manifest);
    return view;
}

static View *open_file(ViewImage *image, const IngotFormat *format, const char *file, GError **error)
{
    g_autoptr(GPtrArray) files = view_image_files(image, format, error);
    const IngotFormatFile *one = files == NULL ? NULL : ingot_format_file(files, file, error);
    return one == NULL ? NULL : view_new(image, format, g_steal_pointer(&files), one);
}

View *views_open(Views *views, const char *name, const char *reference, const char *format, const char *file,
                 GError **error)
{
    const IngotFormat *found = ingot_format_find(format, error);
    g_autoptr(ViewImage) image = found == NULL ? NULL : find_image(views, name, reference, error);
    return image == NULL ? NULL : open_file(image, found, file, error);
}

Storage *views_storage(const Views *views)
{
    return views->storage;
}

ViewImage *views_described(Views *views, const char *name, const IngotDigest *manifest, GError **error)
{
    return find_kept_image(views, name, manifest, FALSE, error);
}

ViewImage *views_image(Views *views, const char *name, const char *reference, GError **error)
{
    return find_image(views, name, reference, error);
}

View *view_ref(View *view)
{
    g_atomic_ref_count_inc(&view->references);
    return view;
}

void view_note_pull(const View *view)
{
    pulls_note(view->image->storage, view->image->name, &view->image->manifest);
}

void view_unref(View *view)
{
    if (view != NULL && g_atomic_ref_count_dec(&view->references)) {
        view_image_unref(view->image);
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
    guint64 run;
    return length > 0 && ingot_layout_run(view->file->layout, offset, length, &run) &&
           view_image_run(view->image, run, length, fd, at);
}

static gboolean is_removed(const ViewImage *image, gpointer storage)
{
    return !storage_has_manifest(storage, image->name, &image->manifest);
}

void views_let_go(Views *views)
{
    image_cache_drop(views->images, is_removed, views->storage);
}

guint64 views_unpacked(Views *views)
{
    return unpacked_size(views->unpacked);
}

gboolean view_digest(View *view, IngotDigest *digest, GError **error)
{
    return view_image_digest(view->image, view->format, view->file, digest, error);
}
