/* Blobs as readers see them: any range, out of the windows that it lies in. */
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>

#include "base/resident.h"
#include "server/catalogue/pieces.h"
#include "server/storage/inside.h"
#include "server/storage/readers.h"

#define TRIES 4 /* at places that change while they are read */

StorageBlob *storage_blob_ref(StorageBlob *blob)
{
    g_atomic_int_inc(&blob->references);
    return blob;
}

void storage_blob_unref(StorageBlob *blob)
{
    if (blob != NULL && g_atomic_int_dec_and_test(&blob->references)) {
        blobcache_drop(blob->storage->cache, blob);
        storage_blob_unref(blob->next);
        blobmap_free(blob->map);
        g_free(blob->windows);
        g_free(blob);
    }
}

guint64 storage_blob_size(const StorageBlob *blob)
{
    return blob->map->size;
}

guint storage_blob_count(const StorageBlob *blob)
{
    return blob->map->count;
}

gboolean storage_blob_damaged(const StorageBlob *blob)
{
    return g_atomic_int_get(&blob->damaged) != 0;
}

gboolean blob_unknown(GError **error, const char *what)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s is not known here", what);
    return FALSE;
}

void blob_forget(Storage *storage)
{
    blobcache_forget(storage->cache);
}

/* --- damage --- */

static void note_found(Storage *storage)
{
    g_mutex_lock(&storage->stats_lock);
    storage->stats.damage_found++;
    g_mutex_unlock(&storage->stats_lock);
}

void blob_damaged(Storage *storage, const IngotDigest *piece, gint64 pack, guint64 offset)
{
    const Damage damage = {.digest = *piece, .pack = pack, .offset = offset};
    if (notes_damage(storage->notes, &damage)) {
        note_found(storage);
    }
    notes_wait(storage->notes);
}

void blob_pack_lost(Storage *storage, gint64 pack)
{
    guint64 whole = 0;
    {
        g_autoptr(Connection) reader = database_reader(storage->catalogue, NULL);
        if (reader == NULL || !pieces_whole_of(reader, pack, &whole, NULL) || whole == 0) {
            return; /* it is known */
        }
    }
    Change change;
    if (!change_begin(storage, &change, NULL)) {
        return;
    }
    change.moved = TRUE;
    if (change_end(&change, pieces_lose_pack(change.writer, pack, NULL), NULL)) {
        g_autofree char *path = packs_path(storage->packs, pack);
        g_warning("%s: missing, with %" G_GUINT64_FORMAT " pieces: `ingotd scrub` names the images that need them",
                  path, whole);
        g_mutex_lock(&storage->stats_lock);
        storage->stats.damage_found += whole;
        g_mutex_unlock(&storage->stats_lock);
    }
}

/* A reader waits for nobody: the catalogue hears of it a little later. */
static void blob_note_damage(StorageBlob *blob, const Damage *damage)
{
    g_atomic_int_set(&blob->damaged, 1);
    if (notes_damage(blob->storage->notes, damage)) {
        note_found(blob->storage);
    }
}

static void blob_note_lost(StorageBlob *blob, gint64 pack)
{
    g_atomic_int_set(&blob->damaged, 1);
    notes_lost(blob->storage->notes, pack);
}

/* --- windows --- */

Window *blob_read_window(StorageBlob *blob, guint number, gboolean may_be_gone, gint64 *lost, GError **error)
{
    g_autoptr(Connection) reader = database_reader(blob->storage->catalogue, error);
    g_mutex_lock(&blob->storage->stats_lock);
    blob->storage->stats.windows++;
    g_mutex_unlock(&blob->storage->stats_lock);
    return reader == NULL ? NULL
                          : window_load(blob->storage->packs, reader, blob->map, number, may_be_gone, lost, error);
}

/* A window that was loaded while places changed is read again; the last try is good for its reader all the same. */
static Window *blob_window(StorageBlob *blob, guint number, GError **error)
{
    guint epoch;
    gint64 lost = 0;
    GError *problem = NULL;
    Window *window = blobcache_window(blob->storage->cache, blob, number, &epoch);
    for (guint i = 0; i < TRIES && window == NULL; i++) {
        g_clear_error(&problem);
        window = blob_read_window(blob, number, FALSE, &lost, &problem);
        if (window != NULL && !blobcache_add_window(blob->storage->cache, blob, number, window, epoch) &&
            i + 1 < TRIES) {
            g_clear_pointer(&window, window_unref);
        }
        if (window == NULL) {
            window = blobcache_window(blob->storage->cache, blob, number, &epoch);
        }
    }
    if (window != NULL) {
        g_clear_error(&problem);
        return window;
    }
    if (lost != 0) {
        blob_note_lost(blob, lost);
    }
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        if (readers_reach(blob) && (window = blobcache_window(blob->storage->cache, blob, number, &epoch)) != NULL) {
            g_error_free(problem);
            return window;
        }
        blob_forget(blob->storage); /* its map is not of now */
    }
    g_propagate_error(error, problem);
    return NULL;
}

static guint window_at(const StorageBlob *blob, guint64 offset)
{
    guint low = 0, high = blob->map->windows;
    while (high - low > 1) {
        guint middle = low + (high - low) / 2;
        if (blob->map->starts[middle] <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/* --- finding --- */

static BlobMap *read_map(Storage *storage, const IngotDigest *digest, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    g_autoptr(BlobMap) map = reader == NULL ? NULL : blobmap_read(reader, digest, error);
    if (map == NULL) {
        return NULL;
    }
    if (map->starts == NULL) {
        /* A blob of before there were windows: once, and then it is known. */
        if (!blobmap_measure(reader, map, error)) {
            return NULL;
        }
        notes_starts(storage->notes, map);
    }
    return g_steal_pointer(&map);
}

static StorageBlob *blob_open(Storage *storage, const IngotDigest *digest, GError **error)
{
    g_autoptr(BlobMap) map = read_map(storage, digest, error);
    if (map == NULL) {
        return NULL;
    }
    StorageBlob *blob = g_new0(StorageBlob, 1);
    blob->references = 1;
    blob->storage = storage;
    blob->damaged = map->is_damaged;
    blob->windows = g_new0(Window *, map->windows + 1);
    blob->map = g_steal_pointer(&map);
    return blob;
}

StorageBlob *blob_load(Storage *storage, const IngotDigest *digest, GError **error)
{
    guint epoch;
    for (guint i = 0; i < TRIES; i++) {
        StorageBlob *blob = blobcache_find(storage->cache, digest, &epoch);
        if (blob != NULL) {
            return blob;
        }
        blob = blob_open(storage, digest, error);
        if (blob == NULL || blobcache_add(storage->cache, blob, epoch)) {
            return blob;
        }
        storage_blob_unref(blob);
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "the blob's places change faster than they can be read");
    return NULL;
}

/* The first window is looked up now: what is lost is told before an answer has begun. */
static StorageBlob *blob_load_first(Storage *storage, const IngotDigest *digest, GError **error)
{
    g_autoptr(StorageBlob) blob = blob_load(storage, digest, error);
    if (blob == NULL || blob->map->windows == 0) {
        return g_steal_pointer(&blob);
    }
    g_autoptr(Window) first = blob_window(blob, 0, error);
    return first == NULL ? NULL : g_steal_pointer(&blob);
}

StorageBlob *storage_blob(Storage *storage, const char *name, const IngotDigest *digest, GError **error)
{
    GError *problem = NULL;
    if (!storage_has(storage, name, digest)) {
        blob_unknown(error, "the blob");
        return NULL;
    }
    StorageBlob *blob = blob_load_first(storage, digest, &problem);
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        /* Another process has removed it and pushed it anew, cut in another way. */
        g_clear_error(&problem);
        blob_forget(storage);
        blob = blob_load_first(storage, digest, &problem);
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return blob;
}

StorageBlob *storage_blob_known(Storage *storage, const char *name, const IngotDigest *digest)
{
    guint epoch;
    return storage_has_known(storage, name, digest) ? blobcache_find(storage->cache, digest, &epoch) : NULL;
}

/* --- reading --- */

GBytes *storage_blob_frames(StorageBlob *blob, gboolean (*gone)(gpointer user), gpointer user, GError **error)
{
    g_autoptr(GByteArray) list = g_byte_array_new();
    for (guint i = 0; i < blob->map->windows; i++) {
        if (gone != NULL && gone(user)) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED, "nobody waits for the list of frames");
            return NULL;
        }
        g_autoptr(Window) window = blob_window(blob, i, error);
        if (window == NULL) {
            return NULL;
        }
        window_list(window, list);
    }
    return g_byte_array_free_to_bytes(g_steal_pointer(&list));
}

/* The blob as it is cut by now, as far as readers have found. */
static StorageBlob *blob_now(StorageBlob *blob)
{
    for (StorageBlob *next = blob; next != NULL; next = g_atomic_pointer_get(&blob->next)) {
        blob = next;
    }
    return blob;
}

/* The same bytes were pushed again and are cut in another way: whoever holds the blob goes on with that. NULL: they are
 * not there. */
static StorageBlob *blob_follow(StorageBlob *blob)
{
    StorageBlob *next = blob_load(blob->storage, &blob->map->digest, NULL);
    if (next == NULL || next == blob || next->map->sum == blob->map->sum) {
        storage_blob_unref(next);
        return NULL;
    }
    if (!g_atomic_pointer_compare_and_exchange(&blob->next, NULL, next)) {
        storage_blob_unref(next);
    }
    return blob_now(blob);
}

static gssize read_once(StorageBlob *blob, guint64 offset, void *buffer, gsize size, GError **error)
{
    g_autoptr(Window) window = blob_window(blob, window_at(blob, offset), error);
    Damage damage = {0};
    gssize count = window == NULL ? -1 : window_read(window, offset, buffer, size, &damage, error);
    if (damage.pack != 0) {
        blob_note_damage(blob, &damage);
    }
    return count;
}

gssize storage_blob_read(StorageBlob *blob, guint64 offset, void *buffer, gsize size, GError **error)
{
    GError *problem = NULL;
    if (offset >= blob->map->size || size == 0) {
        return 0;
    }
    StorageBlob *now = blob_now(blob);
    gssize count = read_once(now, offset, buffer, size, &problem);
    for (guint i = 0; i < TRIES && g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND); i++) {
        now = blob_follow(now);
        if (now == NULL) {
            break;
        }
        g_clear_error(&problem);
        count = read_once(now, offset, buffer, size, &problem);
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return count;
}

gboolean storage_blob_read_all(StorageBlob *blob, guint64 offset, void *buffer, gsize size, GError **error)
{
    for (gsize at = 0; at < size;) {
        gssize count = storage_blob_read(blob, offset + at, (guint8 *)buffer + at, size - at, error);
        if (count <= 0) {
            return FALSE;
        }
        at += (gsize)count;
    }
    return TRUE;
}

/* What is not loaded is not known to be whole, and is not looked up for this. */
gboolean storage_blob_run(StorageBlob *held, guint64 offset, guint64 length, int *fd, guint64 *at)
{
    StorageBlob *blob = blob_now(held);
    g_autoptr(Window) first = NULL;
    guint64 done = 0;
    int pack = -1;
    for (guint number = offset < blob->map->size ? window_at(blob, offset) : blob->map->windows;
         done < length && number < blob->map->windows; number++) {
        guint epoch, end = number + 1;
        int here;
        guint64 from;
        g_autoptr(Window) window = blobcache_window(blob->storage->cache, blob, number, &epoch);
        guint64 most = MIN(length - done, blob->map->starts[end] - (offset + done));
        if (window == NULL || window_run(window, offset + done, most, &here, &from) < most ||
            (first != NULL && (here != pack || from != *at + done))) {
            return FALSE;
        }
        if (first == NULL) {
            first = g_steal_pointer(&window);
            pack = here;
            *at = from;
        }
        done += most;
    }
    return length > 0 && done == length && (*fd = fcntl(pack, F_DUPFD_CLOEXEC, 0)) >= 0;
}

/* What of one window is one run. */
static gsize window_at_once(StorageBlob *blob, guint64 offset, void *buffer, gsize size)
{
    guint epoch, number = window_at(blob, offset);
    g_autoptr(Window) window = blobcache_window(blob->storage->cache, blob, number, &epoch);
    int fd;
    guint64 at, most = MIN(size, blob->map->starts[number + 1] - offset);
    gsize run = window == NULL ? 0 : (gsize)window_run(window, offset, most, &fd, &at);
    return run == 0 ? 0 : resident_read(fd, at, buffer, run);
}

gsize storage_blob_read_at_once(StorageBlob *held, guint64 offset, void *buffer, gsize size)
{
    StorageBlob *blob = blob_now(held);
    gsize done = 0, got = 1;
    while (got > 0 && done < size && offset + done < blob->map->size) {
        got = window_at_once(blob, offset + done, (guint8 *)buffer + done, size - done);
        done += got;
    }
    return done;
}
