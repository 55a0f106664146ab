#include "server/storage/blobcache.h"

#define OVERHEAD 512                /* bytes of tables and the like for each blob that is kept, about */
#define KEPT_LOW (KEPT_MAX / 4 * 3) /* so that room is made for many at once */

struct BlobCache {
    GMutex lock;
    GHashTable *blobs; /* digest -> StorageBlob, those in `recent` */
    GQueue recent;     /* of StorageBlob, the last used first */
    GHashTable *live;  /* all StorageBlob that were added and not freed; without references */
    gsize size;        /* bytes */
    guint epoch;       /* how often places have changed */
    GPtrArray *idle;   /* of Window: given back without the lock: event loops wait for it */
};

static GPtrArray *new_windows(void)
{
    return g_ptr_array_new_with_free_func((GDestroyNotify)window_unref);
}

BlobCache *blobcache_new(void)
{
    BlobCache *cache = g_new0(BlobCache, 1);
    g_mutex_init(&cache->lock);
    cache->blobs = g_hash_table_new(ingot_digest_hash, ingot_digest_equal);
    cache->live = g_hash_table_new(NULL, NULL);
    cache->idle = new_windows();
    g_queue_init(&cache->recent);
    return cache;
}

void blobcache_free(BlobCache *cache)
{
    blobcache_forget(cache);
    g_hash_table_unref(cache->blobs);
    g_hash_table_unref(cache->live);
    g_ptr_array_unref(cache->idle);
    g_mutex_clear(&cache->lock);
    g_free(cache);
}

static gsize blob_cost(const StorageBlob *blob)
{
    return OVERHEAD + blob->map->count * sizeof *blob->map->ids +
           blob->map->windows * (sizeof *blob->map->starts + sizeof *blob->windows);
}

/* Where windows may have been dropped. */
static void unlock(BlobCache *cache)
{
    GPtrArray *idle = NULL;
    if (cache->idle->len > 0) {
        idle = g_steal_pointer(&cache->idle);
        cache->idle = new_windows();
    }
    g_mutex_unlock(&cache->lock);
    g_clear_pointer(&idle, g_ptr_array_unref); /* without the lock: packs are closed */
}

/* --- dropping; the lock is held --- */

static void drop_window(BlobCache *cache, StorageBlob *blob, guint number)
{
    cache->size -= window_cost(blob->windows[number]);
    g_ptr_array_add(cache->idle, g_steal_pointer(&blob->windows[number]));
}

static void drop_windows(BlobCache *cache, StorageBlob *blob)
{
    for (guint i = 0; i < blob->map->windows && !blob->secured; i++) {
        if (blob->windows[i] != NULL) {
            drop_window(cache, blob, i);
        }
    }
}

/* Out of the list: its reference is the caller's, to be given back without the lock. */
static void take_out(BlobCache *cache, StorageBlob *blob)
{
    g_queue_unlink(&cache->recent, &blob->link);
    g_hash_table_remove(cache->blobs, &blob->map->digest);
    blob->is_kept = FALSE;
    cache->size -= blob_cost(blob);
}

/* The windows that were not used since the last look go; TRUE: none is left. */
static gboolean drop_idle(BlobCache *cache, StorageBlob *blob)
{
    gboolean none = TRUE;
    for (guint i = 0; i < blob->map->windows && !blob->secured; i++) {
        if (blob->windows[i] != NULL && !window_was_used(blob->windows[i])) {
            drop_window(cache, blob, i);
        }
        none = none && blob->windows[i] == NULL;
    }
    return none;
}

/* Blobs that are read and kept no more have windows too. */
static void drop_idle_of_live(BlobCache *cache)
{
    GHashTableIter iterator;
    gpointer blob;
    g_hash_table_iter_init(&iterator, cache->live);
    while (cache->size > KEPT_LOW && g_hash_table_iter_next(&iterator, &blob, NULL)) {
        drop_idle(cache, blob);
    }
}

/* What was used longest ago goes first. `gone` receives references to be given back. */
static void make_room(BlobCache *cache, GPtrArray *gone)
{
    if (cache->size <= KEPT_MAX) {
        return;
    }
    for (guint pass = 0; pass < 2 && cache->size > KEPT_LOW; pass++) {
        for (GList *link = cache->recent.tail, *before; link != NULL && cache->size > KEPT_LOW; link = before) {
            before = link->prev;
            if (drop_idle(cache, link->data) && before != NULL) {
                StorageBlob *blob = link->data;
                take_out(cache, blob);
                g_ptr_array_add(gone, blob);
            }
        }
        drop_idle_of_live(cache);
    }
}

static GPtrArray *new_references(void)
{
    return g_ptr_array_new_with_free_func((GDestroyNotify)storage_blob_unref);
}

/* --- blobs --- */

StorageBlob *blobcache_find(BlobCache *cache, const IngotDigest *digest, guint *epoch)
{
    g_mutex_lock(&cache->lock);
    *epoch = cache->epoch;
    StorageBlob *blob = g_hash_table_lookup(cache->blobs, digest);
    if (blob != NULL) {
        g_queue_unlink(&cache->recent, &blob->link);
        g_queue_push_head_link(&cache->recent, &blob->link);
        storage_blob_ref(blob);
    }
    g_mutex_unlock(&cache->lock);
    return blob;
}

gboolean blobcache_add(BlobCache *cache, StorageBlob *blob, guint epoch)
{
    g_autoptr(GPtrArray) gone = new_references();
    g_mutex_lock(&cache->lock);
    gboolean current = cache->epoch == epoch;
    if (current) {
        g_hash_table_add(cache->live, blob);
    }
    if (current && g_hash_table_lookup(cache->blobs, &blob->map->digest) == NULL) {
        g_hash_table_insert(cache->blobs, &blob->map->digest, blob);
        blob->link.data = storage_blob_ref(blob);
        blob->is_kept = TRUE;
        g_queue_push_head_link(&cache->recent, &blob->link);
        cache->size += blob_cost(blob);
        make_room(cache, gone);
    }
    unlock(cache);
    return current;
}

void blobcache_drop(BlobCache *cache, StorageBlob *blob)
{
    g_mutex_lock(&cache->lock);
    g_hash_table_remove(cache->live, blob);
    blob->secured = FALSE;
    drop_windows(cache, blob);
    unlock(cache);
}

/* --- windows --- */

Window *blobcache_window(BlobCache *cache, StorageBlob *blob, guint number, guint *epoch)
{
    g_mutex_lock(&cache->lock);
    *epoch = cache->epoch;
    Window *window = blob->windows[number] == NULL ? NULL : window_ref(blob->windows[number]);
    g_mutex_unlock(&cache->lock);
    if (window != NULL) {
        window_touch(window);
    }
    return window;
}

gboolean blobcache_add_window(BlobCache *cache, StorageBlob *blob, guint number, Window *window, guint epoch)
{
    g_autoptr(GPtrArray) gone = new_references();
    g_mutex_lock(&cache->lock);
    gboolean current = cache->epoch == epoch;
    if (current && blob->windows[number] == NULL) {
        blob->windows[number] = window_ref(window);
        cache->size += window_cost(window);
        make_room(cache, gone);
    }
    unlock(cache);
    return current;
}

/* --- changes --- */

void blobcache_forget(BlobCache *cache)
{
    g_autoptr(GPtrArray) gone = new_references();
    GHashTableIter iterator;
    gpointer blob;
    g_mutex_lock(&cache->lock);
    cache->epoch++;
    g_hash_table_iter_init(&iterator, cache->live);
    while (g_hash_table_iter_next(&iterator, &blob, NULL)) {
        drop_windows(cache, blob);
    }
    while (cache->recent.length > 0) {
        blob = cache->recent.tail->data;
        take_out(cache, blob);
        g_ptr_array_add(gone, blob);
    }
    unlock(cache);
}

/* Not one whose last reference has just been given back. */
static gboolean try_reference(StorageBlob *blob)
{
    gint references;
    do {
        references = g_atomic_int_get(&blob->references);
    } while (references > 0 && !g_atomic_int_compare_and_exchange(&blob->references, references, references + 1));
    return references > 0;
}

GPtrArray *blobcache_held(BlobCache *cache)
{
    GPtrArray *held = new_references();
    GHashTableIter iterator;
    gpointer blob;
    g_mutex_lock(&cache->lock);
    g_hash_table_iter_init(&iterator, cache->live);
    while (g_hash_table_iter_next(&iterator, &blob, NULL)) {
        if (!((StorageBlob *)blob)->secured && try_reference(blob)) {
            g_ptr_array_add(held, blob);
        }
    }
    g_mutex_unlock(&cache->lock);
    return held;
}

void blobcache_hold(BlobCache *cache, StorageBlob *blob)
{
    g_mutex_lock(&cache->lock);
    blob->secured = TRUE;
    g_mutex_unlock(&cache->lock);
}

void blobcache_secure(BlobCache *cache, StorageBlob *blob, GPtrArray *windows)
{
    g_mutex_lock(&cache->lock);
    drop_windows(cache, blob); /* none of one that was secured meanwhile, or before */
    for (guint i = 0; i < windows->len; i++) {
        if (blob->windows[i] == NULL) {
            blob->windows[i] = g_steal_pointer(&g_ptr_array_index(windows, i));
            cache->size += window_cost(blob->windows[i]);
        }
    }
    blob->secured = TRUE;
    unlock(cache);
}
