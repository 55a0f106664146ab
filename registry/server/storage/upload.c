#include "server/storage/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/catalogue/leases.h"
#include "server/catalogue/pieces.h"
#include "server/storage/incoming.h"

#define AGE ((time_t)24 * 3600) /* seconds after which an upload that nobody goes on with is dropped */

/* --- finding it --- */

/* Its files are read when it is gone on with: that takes time, and others wait for the lock that we are under. */
static Upload *reopen(Storage *storage, const char *id)
{
    g_autoptr(Upload) upload = upload_new(storage, id);
    struct stat st;
    upload->rests = TRUE;
    if (!upload_open(upload, 0, NULL) || fstat(upload->pack_fd, &st) != 0) {
        return NULL;
    }
    upload->reserved = st.st_size > SEGMENT_HEAD ? (guint64)st.st_size - SEGMENT_HEAD : 0;
    return g_steal_pointer(&upload);
}

/* The upload, with a reference; NOT_FOUND. */
static Upload *find(Storage *storage, const char *id, GError **error)
{
    if (!g_uuid_string_is_valid(id)) {
        blob_unknown(error, "the upload");
        return NULL;
    }
    g_mutex_lock(&storage->uploads_lock);
    Upload *upload = g_hash_table_lookup(storage->uploads, id);
    if (upload == NULL && (upload = reopen(storage, id)) != NULL) {
        g_hash_table_insert(storage->uploads, upload->id, upload);
        storage->incoming += upload->reserved;
    }
    if (upload != NULL) {
        g_atomic_ref_count_inc(&upload->references);
    }
    g_mutex_unlock(&storage->uploads_lock);
    if (upload == NULL) {
        blob_unknown(error, "the upload");
    }
    return upload;
}

static void leave(Upload *upload)
{
    g_mutex_unlock(&upload->lock);
    upload_unref(upload);
}

/* Nobody finds it any more, and what is left of its files goes. */
static void forget(Upload *upload)
{
    Storage *storage = upload->storage;
    g_mutex_lock(&storage->uploads_lock);
    unlink(upload->list);
    unlink(upload->pack);
    if (g_hash_table_lookup(storage->uploads, upload->id) == upload) {
        g_hash_table_remove(storage->uploads, upload->id);
    }
    g_mutex_unlock(&storage->uploads_lock);
}

/* What it counted on may go. Where that fails, the lease lapses. */
static void let_go(Upload *upload)
{
    Change change;
    if (upload->leased != 0 && change_begin(upload->storage, &change, NULL)) {
        change_end(&change, leases_drop(change.writer, upload->id, NULL), NULL);
        upload->leased = 0;
    }
}

/* What has come of it counts for the limit of all; of an offer what is missing does, before it comes. */
static void reserve(Upload *upload)
{
    Storage *storage = upload->storage;
    guint64 bytes = upload->offer == NULL ? upload->fresh : offer_missing(upload->offer);
    g_mutex_lock(&storage->uploads_lock);
    storage->incoming += bytes - upload->reserved;
    g_mutex_unlock(&storage->uploads_lock);
    upload->reserved = bytes;
}

static void release(Upload *upload)
{
    Storage *storage = upload->storage;
    g_mutex_lock(&storage->uploads_lock);
    storage->incoming -= upload->reserved;
    g_mutex_unlock(&storage->uploads_lock);
    upload->reserved = 0;
}

/* Who waits for its lock finds that it has ended. */
static void end(Upload *upload)
{
    let_go(upload);
    release(upload);
    upload->ended = TRUE;
    upload_close(upload);
    forget(upload);
}

/* Something went wrong: whoever goes on with it does so from the last piece that is whole in its files. */
static void shelve(Upload *upload)
{
    Storage *storage = upload->storage;
    if (upload->offer != NULL) {
        end(upload); /* its list is not kept */
        return;
    }
    upload_close(upload);
    upload->ended = TRUE;
    Upload *next = upload_new(storage, upload->id);
    next->rests = TRUE;
    next->leased = upload->leased;
    g_mutex_lock(&storage->uploads_lock);
    next->reserved = upload->reserved;
    g_hash_table_replace(storage->uploads, next->id, next);
    g_mutex_unlock(&storage->uploads_lock);
}

/* What has come stays, so that the client can go on; but what there is no room for does not keep the disk full. */
static void upload_fail(Upload *upload, const GError *problem)
{
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NO_SPACE) ||
        g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_DENIED)) {
        end(upload);
    } else if (!upload->complete) { /* else it is an offer of which all is here, and the digest is known */
        shelve(upload);
    }
}

/* The upload, with a reference and its lock, for one who goes on with it; NOT_FOUND once it has ended. */
static Upload *enter(Storage *storage, const char *id, GError **error)
{
    Upload *upload = find(storage, id, error);
    if (upload == NULL) {
        return NULL;
    }
    g_mutex_lock(&upload->lock);
    if (upload->ended) {
        blob_unknown(error, "the upload");
    } else if (!upload->rests || upload_recover(upload, error)) {
        reserve(upload);
        return upload;
    }
    leave(upload);
    return NULL;
}

void uploads_sweep(Storage *storage)
{
    g_autofree char *folder = g_build_filename(storage->path, "uploads", NULL);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;
    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_autofree char *id = g_strndup(name, strcspn(name, "."));
        struct stat st;
        gboolean old = stat(path, &st) == 0 && st.st_mtime + AGE < time(NULL);
        if (old && !storage_upload_drop(storage, id, NULL)) {
            unlink(path); /* half an upload, or a pack that did not come to its end */
        }
        g_autoptr(Upload) counted = old ? NULL : find(storage, id, NULL);
    }
}

/* --- the door --- */

/* Whether the packs and what has come of all uploads fit into the limit. */
static gboolean fits_in(Storage *storage, Connection *connection, GError **error)
{
    guint64 packed;
    if (storage->limits.total == 0) {
        return TRUE;
    }
    if (!pieces_packed(connection, &packed, error)) {
        return FALSE;
    }
    g_mutex_lock(&storage->uploads_lock);
    packed += storage->incoming;
    g_mutex_unlock(&storage->uploads_lock);
    if (packed > storage->limits.total) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NO_SPACE, "the registry's storage limit is reached");
        return FALSE;
    }
    return TRUE;
}

static gboolean has_room(Storage *storage, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    return reader != NULL && fits_in(storage, reader, error);
}

static gboolean may_begin(Storage *storage, GError **error)
{
    g_mutex_lock(&storage->uploads_lock);
    guint count = g_hash_table_size(storage->uploads);
    g_mutex_unlock(&storage->uploads_lock);
    if (storage->limits.uploads > 0 && count >= storage->limits.uploads) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "%u uploads are under way: try again later", count);
        return FALSE;
    }
    return has_room(storage, error);
}

char *storage_upload_new(Storage *storage, GError **error)
{
    notes_wait(storage->notes); /* what was found damaged does not count as there */
    g_autofree char *id = g_uuid_string_random();
    if (!may_begin(storage, error)) {
        return NULL;
    }
    Upload *upload = upload_new(storage, id);
    if (!upload_open(upload, O_CREAT | O_EXCL, error)) {
        unlink(upload->pack);
        upload_unref(upload);
        return NULL;
    }
    upload_close(upload);
    g_mutex_lock(&storage->uploads_lock);
    g_hash_table_insert(storage->uploads, upload->id, upload);
    g_mutex_unlock(&storage->uploads_lock);
    return g_steal_pointer(&id);
}

gboolean storage_upload_size(Storage *storage, const char *id, guint64 *size, GError **error)
{
    Upload *upload = enter(storage, id, error);
    if (upload == NULL) {
        return FALSE;
    }
    *size = upload->size;
    leave(upload);
    return TRUE;
}

/* The bytes that come are those that are next, and the blob may have them; their room is set aside. */
static gboolean may_add(Upload *upload, guint64 at, gsize size, GError **error)
{
    guint64 limit = upload->storage->limits.blob;
    if (upload->complete) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "more bytes came than were missing");
        return FALSE;
    }
    if (at != upload->size) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "another request has gone on with the upload");
        return FALSE;
    }
    if (limit > 0 && at + size > limit) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED, "larger than this registry takes");
        return FALSE;
    }
    return TRUE;
}

gboolean storage_upload_add(Storage *storage, const char *id, guint64 at, const void *data, gsize size, GError **error)
{
    Upload *upload = enter(storage, id, error);
    if (upload == NULL) {
        return FALSE;
    }
    if (!may_add(upload, at, size, error)) {
        leave(upload);
        return FALSE;
    }
    GError *problem = NULL;
    guint64 fresh = upload->fresh;
    gboolean ok = upload_open(upload, 0, &problem) && upload_take(upload, data, size, &problem);
    if (ok && upload->fresh != fresh) {
        reserve(upload);
        ok = has_room(storage, &problem);
    }
    if (!ok) {
        upload_fail(upload, problem);
        g_propagate_error(error, problem);
    }
    leave(upload);
    return ok;
}

void storage_upload_pause(Storage *storage, const char *id)
{
    g_autoptr(Upload) upload = find(storage, id, NULL);
    if (upload != NULL) {
        g_mutex_lock(&upload->lock);
        upload_close(upload);
        g_mutex_unlock(&upload->lock);
    }
}

/* Room for what is missing is set aside; without it the upload is as if nothing had been offered. */
static gboolean offer_fits(Upload *upload, GError **error)
{
    reserve(upload);
    if (has_room(upload->storage, error)) {
        return TRUE;
    }
    g_clear_pointer(&upload->offer, offer_free);
    reserve(upload);
    return FALSE;
}

gboolean storage_upload_offer(Storage *storage, const char *id, const void *frames, gsize size, StorageMaySee may_see,
                              gpointer user, GByteArray *missing, GError **error)
{
    Upload *upload = enter(storage, id, error);
    if (upload == NULL) {
        return FALSE;
    }
    gboolean ok = upload->size == 0 && upload->offer == NULL;
    if (!ok) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "frames are offered before any bytes come");
    } else {
        upload->offer = upload_hold(upload, error)
                            ? offer_new(storage, upload->pack, frames, size, may_see, user, missing, error)
                            : NULL;
        ok = upload->offer != NULL && offer_fits(upload, error);
        if (ok ? offer_is_new(upload->offer) : upload->leased != 0) {
            let_go(upload);
        }
        /* Its list is not kept: after a restart the client begins anew. */
        ok = ok && (unlink(upload->list) == 0 || ingot_error_set_errno(error, errno, "%s", upload->list));
    }
    leave(upload);
    return ok;
}

/* The table and the blob's digest. */
static gboolean complete(Upload *upload, GError **error)
{
    if (upload->complete) {
        return TRUE;
    }
    if (upload->offer == NULL) {
        ingot_hasher_finish(upload->whole, &upload->table->blob);
        upload->table->size = upload->size;
        return TRUE;
    }
    g_autoptr(Table) table = NULL;
    if (!offer_complete(upload->offer, &table, error)) {
        return FALSE;
    }
    table_free(upload->table);
    upload->table = g_steal_pointer(&table);
    upload->complete = TRUE;
    return TRUE;
}

static gboolean fits(Upload *upload, const IngotDigest *digest, GError **error)
{
    if (!complete(upload, error)) {
        return FALSE;
    }
    if (!ingot_digest_equal(&upload->table->blob, digest)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "the bytes do not have the digest that was given");
        return FALSE;
    }
    return TRUE;
}

/* What can be done without the write lock: the segment is completed and flushed. */
static gboolean prepare(Upload *upload, guint64 *size, GError **error)
{
    if (!segment_finish(upload->pack_fd, 0, upload->fresh, upload->table, size, upload->pack, error)) {
        return FALSE;
    }
    return (ftruncate(upload->pack_fd, (off_t)*size) == 0 && fdatasync(upload->pack_fd) == 0) ||
           ingot_error_set_errno(error, errno, "%s", upload->pack);
}

static gboolean store(Upload *upload, const StorageActor *actor, const char *name, const IngotDigest *digest,
                      GError **error)
{
    Change change;
    guint64 size;
    if (!prepare(upload, &size, error) || !change_begin(upload->storage, &change, error)) {
        return FALSE;
    }
    change.actor = actor;
    gint64 blob = names_blob(change.writer, digest, error);
    gboolean brings = FALSE;
    gboolean ok = blob >= 0 && publish_brings(&change, upload->table, blob, &brings, error) &&
                  (!brings || (fits_in(upload->storage, change.writer, error) &&
                               publish_file(&change, upload->table, upload->pack, size, &blob, error))) &&
                  names_link(&change, name, blob, digest, error) && leases_drop(change.writer, upload->id, error);
    ok = change_end(&change, ok, error);
    upload->leased = ok ? 0 : upload->leased;
    return ok;
}

gboolean storage_upload_finish(Storage *storage, const StorageActor *actor, const char *id, const char *name,
                               const IngotDigest *digest, GError **error)
{
    Upload *upload = enter(storage, id, error);
    if (upload == NULL) {
        return FALSE;
    }
    GError *problem = NULL;
    gboolean ok = upload_open(upload, 0, &problem) && (upload->length == 0 || upload_end_piece(upload, &problem)) &&
                  fits(upload, digest, &problem) && has_room(storage, &problem) &&
                  store(upload, actor, name, digest, &problem);
    if (ok) {
        end(upload);
    } else {
        upload_fail(upload, problem);
        g_propagate_error(error, problem);
    }
    leave(upload);
    return ok;
}

gboolean storage_upload_drop(Storage *storage, const char *id, GError **error)
{
    Upload *upload = find(storage, id, error);
    if (upload == NULL) {
        return FALSE;
    }
    g_mutex_lock(&upload->lock);
    gboolean there = !upload->ended || blob_unknown(error, "the upload");
    if (there) {
        end(upload);
    }
    leave(upload);
    return there;
}
