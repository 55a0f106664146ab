#include "server/storage/readers.h"

#include <ingot/error.h>

#include "server/catalogue/leases.h"

#define LEASE_AGE 600 /* seconds for which a lease lives that is not renewed */
#define TRIES 4       /* at places that change while they are read */

/* --- securing --- */

static gboolean reader_load_all(StorageBlob *blob, GError **error)
{
    g_autoptr(GPtrArray) windows = g_ptr_array_new_with_free_func((GDestroyNotify)window_unref);
    gint64 lost;
    for (guint i = 0; i < blob->map->windows; i++) {
        Window *window = blob_read_window(blob, i, TRUE, &lost, error);
        if (window == NULL) {
            return FALSE;
        }
        g_ptr_array_add(windows, window);
    }
    blobcache_secure(blob->storage->cache, blob, windows);
    return TRUE;
}

/* Another process may move the pieces meanwhile. */
static gboolean reader_secure(StorageBlob *blob, GError **error)
{
    GError *problem = NULL;
    gboolean ok = FALSE;
    for (guint i = 0; i < TRIES && !ok; i++) {
        g_clear_error(&problem);
        ok = reader_load_all(blob, &problem);
    }
    if (!ok) {
        g_propagate_error(error, problem);
    }
    return ok;
}

/* What is loaded of one that can't be secured is all that its readers can have. */
static void reader_secure_or_warn(StorageBlob *blob)
{
    g_autoptr(GError) error = NULL;
    if (!reader_secure(blob, &error)) {
        g_warning("%s (a client that reads a removed blob may not reach its end)", error->message);
        blobcache_hold(blob->storage->cache, blob);
    }
}

void readers_secure(Storage *storage, const IngotDigest *digests, guint count)
{
    g_autoptr(GPtrArray) held = blobcache_held(storage->cache);
    g_autoptr(GHashTable) wanted = g_hash_table_new(ingot_digest_hash, ingot_digest_equal);
    for (guint i = 0; i < count; i++) {
        g_hash_table_add(wanted, (gpointer)&digests[i]);
    }
    for (guint i = 0; i < held->len; i++) {
        StorageBlob *blob = g_ptr_array_index(held, i);
        if (g_hash_table_contains(wanted, &blob->map->digest)) {
            reader_secure_or_warn(blob);
        }
    }
}

/* GPtrArray of StorageBlob, with references: those that are held and have gone. NULL: it can't be told. */
static GPtrArray *readers_list_gone(Storage *storage, GError **error)
{
    g_autoptr(GPtrArray) held = blobcache_held(storage->cache);
    g_autoptr(GPtrArray) gone = g_ptr_array_new_with_free_func((GDestroyNotify)storage_blob_unref);
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    for (guint i = 0; reader != NULL && i < held->len; i++) {
        StorageBlob *blob = g_ptr_array_index(held, i);
        gboolean current;
        if (!blobmap_is_current(reader, blob->map, &current, error)) {
            return NULL;
        }
        if (!current) {
            g_ptr_array_add(gone, storage_blob_ref(blob));
        }
    }
    return reader == NULL ? NULL : g_steal_pointer(&gone);
}

/* FALSE: nothing is known of them. What memory alone holds is forgotten: nobody reads it. */
static gboolean readers_secure_others(Storage *storage, GError **error)
{
    g_autoptr(GPtrArray) gone = readers_list_gone(storage, error);
    if (gone == NULL) {
        return FALSE;
    }
    if (gone->len > 0) {
        blob_forget(storage);
    }
    for (guint i = 0; i < gone->len; i++) {
        StorageBlob *blob = g_ptr_array_index(gone, i);
        if (g_atomic_int_get(&blob->references) > 1) {
            reader_secure_or_warn(blob);
        }
    }
    return TRUE;
}

void readers_secure_gone(Storage *storage)
{
    g_autoptr(GError) error = NULL;
    if (!readers_secure_others(storage, &error)) {
        g_warning("%s (a client that reads a removed blob may not reach its end)", error->message);
    }
}

/* --- the lease --- */

static gboolean readers_write(Storage *storage, gint64 epoch)
{
    Change change;
    gint64 until = storage_now() + LEASE_AGE;
    if (!change_begin(storage, &change, NULL) ||
        !change_end(&change, leases_set(change.writer, storage->self, epoch, until, NULL), NULL)) {
        return FALSE;
    }
    g_mutex_lock(&storage->stats_lock);
    storage->readers_until = until;
    g_mutex_unlock(&storage->stats_lock);
    storage->readers_epoch = epoch;
    return TRUE;
}

static gboolean readers_epoch(Storage *storage, gint64 *epoch)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, NULL);
    return reader != NULL && leases_epoch(reader, epoch, NULL);
}

static gint64 readers_until(Storage *storage)
{
    g_mutex_lock(&storage->stats_lock);
    gint64 until = storage->readers_until;
    g_mutex_unlock(&storage->stats_lock);
    return until;
}

void readers_begin(Storage *storage)
{
    gint64 epoch;
    if (storage->shared && readers_epoch(storage, &epoch)) {
        readers_write(storage, epoch);
    }
}

void readers_end(Storage *storage)
{
    Change change;
    if (readers_until(storage) != 0 && change_begin(storage, &change, NULL)) {
        change_end(&change, leases_drop(change.writer, storage->self, NULL), NULL);
    }
}

/* Under readers_lock. The epoch is asked for first: what is removed behind the look has later marks. */
static void readers_advance(Storage *storage)
{
    gint64 epoch, left = readers_until(storage) - storage_now();
    if (!readers_epoch(storage, &epoch) || (epoch == storage->readers_epoch && left > LEASE_AGE / 2)) {
        return;
    }
    if (epoch != storage->readers_epoch && !readers_secure_others(storage, NULL)) {
        epoch = storage->readers_epoch;
    }
    readers_write(storage, epoch);
}

void readers_move(Storage *storage)
{
    if (storage->shared) {
        g_mutex_lock(&storage->readers_lock);
        readers_advance(storage);
        g_mutex_unlock(&storage->readers_lock);
    }
}

static gboolean reader_is_gone(StorageBlob *blob)
{
    g_autoptr(Connection) reader = database_reader(blob->storage->catalogue, NULL);
    return reader != NULL && names_blob(reader, &blob->map->digest, NULL) == 0;
}

gboolean readers_reach(StorageBlob *blob)
{
    return readers_until(blob->storage) > storage_now() && reader_is_gone(blob) && reader_secure(blob, NULL);
}
