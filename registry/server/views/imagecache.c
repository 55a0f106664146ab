#include "server/views/imagecache.h"

#include <string.h>

struct ImageCache {
    GMutex lock;
    GQueue images; /* of ViewImage, the last used first */
};

ImageCache *image_cache_new(void)
{
    ImageCache *cache = g_new0(ImageCache, 1);
    g_mutex_init(&cache->lock);
    g_queue_init(&cache->images);
    return cache;
}

static void unref_image(gpointer image)
{
    view_image_unref(image);
}

void image_cache_free(ImageCache *cache)
{
    g_queue_clear_full(&cache->images, unref_image);
    g_mutex_clear(&cache->lock);
    g_free(cache);
}

/* The lock is held. */
static ViewImage *image_bring_forward(ImageCache *cache, const char *name, const IngotDigest *manifest)
{
    for (GList *link = cache->images.head; link != NULL; link = link->next) {
        ViewImage *image = link->data;
        if (ingot_digest_equal(&image->manifest, manifest) && strcmp(image->name, name) == 0) {
            g_queue_unlink(&cache->images, link);
            g_queue_push_head_link(&cache->images, link);
            return image;
        }
    }
    return NULL;
}

/* Those that are too many: to be given back without the lock, since packs are closed then. An image grows while formats
 * of it are laid out, so all are counted anew. */
static GPtrArray *make_room(ImageCache *cache)
{
    GPtrArray *gone = g_ptr_array_new_with_free_func(unref_image);
    gsize size = 0;
    for (GList *link = cache->images.head, *next; link != NULL; link = next) {
        next = link->next;
        size += view_image_memory(link->data);
        if (size > IMAGE_CACHE_MAX && link != cache->images.head) {
            size -= view_image_memory(link->data);
            g_ptr_array_add(gone, link->data);
            g_queue_delete_link(&cache->images, link);
        }
    }
    return gone;
}

ViewImage *image_cache_find(ImageCache *cache, const char *name, const IngotDigest *manifest)
{
    g_mutex_lock(&cache->lock);
    ViewImage *image = image_bring_forward(cache, name, manifest);
    g_autoptr(GPtrArray) gone = image == NULL ? NULL : make_room(cache);
    if (image != NULL) {
        view_image_ref(image);
    }
    g_mutex_unlock(&cache->lock);
    return image;
}

void image_cache_add(ImageCache *cache, ViewImage *image)
{
    g_mutex_lock(&cache->lock);
    g_autoptr(ViewImage) former = image_bring_forward(cache, image->name, &image->manifest);
    if (former != NULL) {
        g_queue_remove(&cache->images, former);
    }
    g_queue_push_head(&cache->images, view_image_ref(image));
    g_autoptr(GPtrArray) gone = make_room(cache);
    g_mutex_unlock(&cache->lock);
}

/* Whether it is gone is asked without the lock: that may take a look at the disk. */
void image_cache_drop(ImageCache *cache, gboolean (*is_gone)(const ViewImage *image, gpointer user), gpointer user)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(unref_image);
    g_mutex_lock(&cache->lock);
    for (GList *link = cache->images.head; link != NULL; link = link->next) {
        g_ptr_array_add(all, view_image_ref(link->data));
    }
    g_mutex_unlock(&cache->lock);
    for (guint i = 0; i < all->len; i++) {
        ViewImage *image = g_ptr_array_index(all, i);
        if (is_gone == NULL || is_gone(image, user)) {
            g_mutex_lock(&cache->lock);
            gboolean kept = g_queue_remove(&cache->images, image);
            g_mutex_unlock(&cache->lock);
            if (kept) {
                view_image_unref(image);
            }
        }
    }
}
