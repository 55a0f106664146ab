/* What is kept of blobs in memory: their maps by digest, and the windows that were read, within KEPT_MAX bytes.
 *
 * Invariant: what is kept was read after places changed last (blobcache_forget), so the next reader of a blob finds the
 * places of now, and no removed pack stays open for longer than a window of it is read. The map of a blob that was
 * collected while somebody reads it is secured: it keeps all of its windows. Thread safe. */
#pragma once

#include "server/storage/storage.h"
#include "server/storage/window.h"

#define KEPT_MAX ((gsize)24 << 20) /* bytes */

typedef struct BlobCache BlobCache;

struct StorageBlob {
    gint references; /* atomic */
    Storage *storage;
    BlobMap *map;
    gint damaged;      /* atomic: a piece is known to be */
    StorageBlob *next; /* atomic: the same bytes, as they are cut by now; NULL: as they were. Its reference is ours */

    /* The rest is blobcache.c's. */
    Window **windows; /* NULL where one is not loaded */
    gboolean secured;
    gboolean is_kept;
    GList link; /* in cache->recent, which holds a reference */
};

BlobCache *blobcache_new(void);
void blobcache_free(BlobCache *cache);

/* A reference to the blob of that digest; NULL: it is not kept. *epoch is for blobcache_add. */
StorageBlob *blobcache_find(BlobCache *cache, const IngotDigest *digest, guint *epoch);
/* Takes up a blob that was read since blobcache_find. FALSE: places have changed meanwhile; read it again. */
gboolean blobcache_add(BlobCache *cache, StorageBlob *blob, guint epoch);
/* Before a blob is freed. */
void blobcache_drop(BlobCache *cache, StorageBlob *blob);

/* A reference; NULL: it is not loaded. *epoch is for blobcache_add_window. */
Window *blobcache_window(BlobCache *cache, StorageBlob *blob, guint number, guint *epoch);
/* Whether it could be kept: places have not changed meanwhile. */
gboolean blobcache_add_window(BlobCache *cache, StorageBlob *blob, guint number, Window *window, guint epoch);

/* Places have changed. */
void blobcache_forget(BlobCache *cache);
/* Those that somebody holds: GPtrArray of references; free it. */
GPtrArray *blobcache_held(BlobCache *cache);
/* Its windows that are loaded stay until it is freed. */
void blobcache_hold(BlobCache *cache, StorageBlob *blob);
/* Its windows, all of them, stay until it is freed. Takes the references; those that stay already are not replaced. */
void blobcache_secure(BlobCache *cache, StorageBlob *blob, GPtrArray *windows);
