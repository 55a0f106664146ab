#include "server/storage/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/storage/offer.h"

#define AGE (24 * 3600)         /* seconds after which an upload that nobody goes on with is dropped */
#define BUFFER_MAX (256u << 10) /* bytes of a running piece that wait to learn whether it is new */
#define SMALL_MAX (1u << 20)    /* bytes of new pieces that are added to the shared pack */

/* A new piece of an upload, and where it stands among them. */
typedef struct {
    IngotDigest digest; /* first: the key */
    guint64 offset;
} Own;

/* An entry of ID.list. */
typedef struct {
    IngotDigest digest;
    guint32 length, fresh;
} __attribute__((packed)) Entry;

struct Upload {
    gatomicrefcount references;
    GMutex lock; /* one request at a time */
    Storage *storage;
    char *id, *pack, *list; /* paths */
    int pack_fd, list_fd;   /* -1: closed for now */
    guint64 size;           /* of the blob so far */
    guint64 fresh;          /* bytes of new pieces that are whole */
    IngotHasher *whole;     /* of the blob */
    Splitter splitter;
    Table *table;
    GHashTable *own; /* digest -> Own: new pieces of this upload */
    GArray *pinned;  /* of gint64: pieces that were there */
    Offer *offer;    /* the frames are told, and the missing ones alone come; NULL: bytes come as they are */
    gboolean rests;  /* its files tell what has come; nobody has read them yet */
    gboolean ended;  /* finished, dropped or failed: its file may be a pack by now */

    /* The running piece. */
    IngotHasher *hasher;
    GByteArray *buffer;      /* its bytes that are not in the file */
    guint32 length, written; /* bytes of it in all, and in the file */
};

/* --- life --- */

static char *path_of(const Storage *storage, const char *id, const char *suffix)
{
    g_autofree char *name = g_strconcat(id, suffix, NULL);
    return g_build_filename(storage->path, "uploads", name, NULL);
}

static void begin_piece(Upload *upload)
{
    g_clear_pointer(&upload->hasher, ingot_hasher_free);
    upload->hasher = ingot_hasher_new();
    g_byte_array_set_size(upload->buffer, 0);
    upload->length = upload->written = 0;
}

static Upload *upload_new(Storage *storage, const char *id)
{
    Upload *upload = g_new0(Upload, 1);
    g_atomic_ref_count_init(&upload->references);
    g_mutex_init(&upload->lock);
    upload->storage = storage;
    upload->id = g_strdup(id);
    upload->pack = path_of(storage, id, ".pack");
    upload->list = path_of(storage, id, ".list");
    upload->pack_fd = upload->list_fd = -1;
    upload->whole = ingot_hasher_new();
    upload->table = table_new();
    upload->own = g_hash_table_new_full(ingot_digest_hash, ingot_digest_equal, g_free, NULL);
    upload->pinned = g_array_new(FALSE, FALSE, sizeof(gint64));
    upload->buffer = g_byte_array_new();
    splitter_begin(&upload->splitter);
    begin_piece(upload);
    return upload;
}

static void close_files(Upload *upload)
{
    ingot_fd_clear(&upload->pack_fd);
    ingot_fd_clear(&upload->list_fd);
    upload->pack_fd = upload->list_fd = -1;
}

void upload_unref(gpointer data)
{
    Upload *upload = data;
    if (upload == NULL || !g_atomic_ref_count_dec(&upload->references)) {
        return;
    }
    for (guint i = 0; i < upload->pinned->len; i++) {
        pins_drop(upload->storage, g_array_index(upload->pinned, gint64, i));
    }
    close_files(upload);
    g_array_unref(upload->pinned);
    g_hash_table_unref(upload->own);
    g_byte_array_unref(upload->buffer);
    table_free(upload->table);
    offer_free(upload->offer);
    ingot_hasher_free(upload->hasher);
    ingot_hasher_free(upload->whole);
    g_mutex_clear(&upload->lock);
    g_free(upload->id);
    g_free(upload->pack);
    g_free(upload->list);
    g_free(upload);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Upload, upload_unref)

static gboolean open_files(Upload *upload, int flags, GError **error)
{
    if (upload->pack_fd < 0) {
        upload->pack_fd = ingot_file_open(upload->pack, O_RDWR | flags, 0600, error);
    }
    if (upload->pack_fd >= 0 && upload->list_fd < 0 && upload->offer == NULL) {
        upload->list_fd = ingot_file_open(upload->list, O_RDWR | flags, 0600, error);
    }
    return upload->pack_fd >= 0 && (upload->list_fd >= 0 || upload->offer != NULL);
}

/* --- bytes that come --- */

static gboolean write_data(Upload *upload, const void *data, gsize size, guint64 at, GError **error)
{
    return ingot_file_pwrite(upload->pack_fd, data, size, SEGMENT_HEAD + at, upload->pack, error);
}

static gboolean flush_buffer(Upload *upload, GError **error)
{
    if (!write_data(upload, upload->buffer->data, upload->buffer->len, upload->fresh + upload->written, error)) {
        return FALSE;
    }
    upload->written += upload->buffer->len;
    g_byte_array_set_size(upload->buffer, 0);
    return TRUE;
}

/* Whether the piece is here already: in this upload, or in the catalogue (then it is pinned). */
static gboolean is_known(Upload *upload, const IngotDigest *digest, gboolean *known, GError **error)
{
    *known = g_hash_table_contains(upload->own, digest);
    if (*known) {
        return TRUE;
    }
    g_autoptr(Connection) reader = database_reader(upload->storage->catalogue, error);
    if (reader == NULL) {
        return FALSE;
    }
    gint64 piece = pins_find(upload->storage, reader, digest, upload->length);
    *known = piece > 0;
    if (*known) {
        g_array_append_val(upload->pinned, piece);
    }
    return TRUE;
}

/* A frame that was missing has come. */
static gboolean end_frame(Upload *upload, const IngotDigest *digest, GError **error)
{
    if (!offer_got(upload->offer, digest, error) || !flush_buffer(upload, error)) {
        return FALSE;
    }
    upload->fresh += upload->length;
    begin_piece(upload);
    return TRUE;
}

static gboolean end_piece(Upload *upload, GError **error)
{
    IngotDigest digest;
    gboolean known;
    ingot_hasher_finish(upload->hasher, &digest);
    if (upload->offer != NULL) {
        return end_frame(upload, &digest, error);
    }
    if (!is_known(upload, &digest, &known, error) || (!known && !flush_buffer(upload, error))) {
        return FALSE;
    }
    Entry entry = {.digest = digest, .length = GUINT32_TO_LE(upload->length), .fresh = GUINT32_TO_LE(!known)};
    if (!ingot_file_pwrite(upload->list_fd, &entry, sizeof entry, upload->table->pieces->len * sizeof entry,
                           upload->list, error)) {
        return FALSE;
    }
    table_add(upload->table, &digest, upload->length, !known);
    if (!known) {
        Own own = {.digest = digest, .offset = upload->fresh};
        g_hash_table_add(upload->own, g_memdup2(&own, sizeof own));
        upload->fresh += upload->length;
    }
    begin_piece(upload);
    return TRUE;
}

/* Where the running piece ends: where the blob is cut, or where the client said that the frame does. */
static gsize take(Upload *upload, const guint8 *data, gsize size, gboolean *ends)
{
    return upload->offer == NULL ? splitter_take(&upload->splitter, data, size, ends)
                                 : offer_take(upload->offer, size, ends);
}

static gboolean add(Upload *upload, const guint8 *data, gsize size, GError **error)
{
    while (size > 0) {
        gboolean ends;
        gsize count = take(upload, data, size, &ends);
        if (count == 0) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "more bytes came than were missing");
            return FALSE;
        }
        ingot_hasher_add(upload->hasher, data, count);
        ingot_hasher_add(upload->whole, data, count);
        g_byte_array_append(upload->buffer, data, (guint)count);
        upload->length += (guint32)count;
        upload->size += count;
        if (ends ? !end_piece(upload, error) : upload->buffer->len > BUFFER_MAX && !flush_buffer(upload, error)) {
            return FALSE;
        }
        data += count;
        size -= count;
    }
    return TRUE;
}

/* --- going on after a restart --- */

/* The bytes of an entry: out of the file of the upload, where new ones go on at `fresh`, or of the piece that was
 * there. */
static gboolean read_entry(Upload *upload, const Entry *entry, guint64 fresh, guint8 *data, GError **error)
{
    guint32 length = GUINT32_FROM_LE(entry->length);
    const Own *own = g_hash_table_lookup(upload->own, &entry->digest);
    if (entry->fresh != 0 || own != NULL) {
        guint64 at = SEGMENT_HEAD + (entry->fresh != 0 ? fresh : own->offset);
        return ingot_file_pread(upload->pack_fd, data, length, at, upload->pack, error);
    }
    Storage *storage = upload->storage;
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    g_autoptr(sqlite3_stmt) row =
        reader == NULL ? NULL
                       : database_query(reader, "SELECT pack, offset FROM pieces WHERE digest=? AND length=?", "di",
                                        &entry->digest, (gint64)length);
    g_autoptr(Pack) pack =
        database_step(row, error) ? packs_get(storage->packs, sqlite3_column_int64(row, 0), error) : NULL;
    return pack != NULL &&
           ingot_file_pread(pack_fd(pack), data, length, (guint64)sqlite3_column_int64(row, 1), pack_path(pack), error);
}

/* What was new to the upload when it rested may be known by now: its own file then has room for what comes behind it,
 * which moves there, never beyond the place it comes from. */
static gboolean recover_piece(Upload *upload, const Entry *entry, guint64 *fresh, guint8 *data)
{
    IngotDigest found;
    guint32 length = GUINT32_FROM_LE(entry->length);
    if (length == 0 || length > PIECE_MAX || !read_entry(upload, entry, *fresh, data, NULL)) {
        return FALSE;
    }
    ingot_digest_of(data, length, &found);
    *fresh += entry->fresh != 0 ? length : 0;
    return ingot_digest_equal(&found, &entry->digest) && add(upload, data, length, NULL) && upload->length == 0;
}

/* Takes in again what the list tells, up to the first entry that is not as it says. */
static gboolean recover(Upload *upload, GError **error)
{
    g_autofree guint8 *data = g_malloc(PIECE_MAX);
    Entry entry;
    guint64 fresh = 0;
    if (!open_files(upload, 0, error)) {
        return FALSE;
    }
    for (guint i = 0; pread(upload->list_fd, &entry, sizeof entry, i * sizeof entry) == sizeof entry; i++) {
        if (!recover_piece(upload, &entry, &fresh, data)) {
            break;
        }
    }
    upload->rests = FALSE;
    return ftruncate(upload->list_fd, (off_t)(upload->table->pieces->len * sizeof entry)) == 0 ||
           ingot_error_set_errno(error, errno, "%s", upload->list);
}

/* Its files are read when it is gone on with: that takes time, and others wait for the lock that we are under. */
static Upload *reopen(Storage *storage, const char *id)
{
    g_autoptr(Upload) upload = upload_new(storage, id);
    upload->rests = TRUE;
    return open_files(upload, 0, NULL) ? g_steal_pointer(&upload) : NULL;
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

/* Who waits for its lock finds that it has ended. */
static void end(Upload *upload)
{
    upload->ended = TRUE;
    close_files(upload);
    forget(upload);
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
    } else if (!upload->rests || recover(upload, error)) {
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
        if (stat(path, &st) == 0 && st.st_mtime + AGE < time(NULL) && !storage_upload_drop(storage, id, NULL)) {
            unlink(path); /* half an upload, or a pack that did not come to its end */
        }
    }
}

/* --- the door --- */

/* Whether `more` bytes may still be stored, as the connection has it. */
static gboolean fits_in(Storage *storage, Connection *connection, guint64 more, GError **error)
{
    gint64 packed;
    if (storage->limits.total == 0) {
        return TRUE;
    }
    if (!database_number(connection, &packed, 0, error, "SELECT sum(size) FROM packs", "")) {
        return FALSE;
    }
    if ((guint64)packed + more > storage->limits.total) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NO_SPACE, "the registry's storage limit is reached");
        return FALSE;
    }
    return TRUE;
}

static gboolean has_room(Storage *storage, guint64 more, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    return reader != NULL && fits_in(storage, reader, more, error);
}

char *storage_upload_new(Storage *storage, GError **error)
{
    g_autofree char *id = g_uuid_string_random();
    if (!has_room(storage, 0, error)) {
        return NULL;
    }
    Upload *upload = upload_new(storage, id);
    if (!open_files(upload, O_CREAT | O_EXCL, error)) {
        unlink(upload->pack);
        upload_unref(upload);
        return NULL;
    }
    close_files(upload);
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

gboolean storage_upload_add(Storage *storage, const char *id, const void *data, gsize size, GError **error)
{
    Upload *upload = enter(storage, id, error);
    if (upload == NULL) {
        return FALSE;
    }
    guint64 fresh = upload->fresh;
    gboolean ok = open_files(upload, 0, error) && add(upload, data, size, error) &&
                  (upload->fresh == fresh || has_room(storage, upload->fresh, error));
    if (!ok) {
        end(upload);
    }
    leave(upload);
    return ok;
}

void storage_upload_pause(Storage *storage, const char *id)
{
    g_autoptr(Upload) upload = find(storage, id, NULL);
    if (upload != NULL) {
        g_mutex_lock(&upload->lock);
        close_files(upload);
        g_mutex_unlock(&upload->lock);
    }
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
        upload->offer = offer_new(storage, frames, size, may_see, user, upload->pinned, missing, error);
        ok = upload->offer != NULL;
        /* Its list is not kept: after a restart the client begins anew. */
        ok = ok && (unlink(upload->list) == 0 || ingot_error_set_errno(error, errno, "%s", upload->list));
    }
    leave(upload);
    return ok;
}

/* The table and the blob's digest, which is worked out anew where only a part of the bytes has come. */
static gboolean complete(Upload *upload, const IngotDigest *digest, GError **error)
{
    if (upload->offer == NULL) {
        ingot_hasher_finish(upload->whole, &upload->table->blob);
        upload->table->size = upload->size;
        return TRUE;
    }
    table_free(upload->table);
    upload->table = offer_complete(upload->offer, upload->storage, digest, upload->pack_fd, upload->pack, error);
    return upload->table != NULL;
}

static gboolean fits(Upload *upload, const IngotDigest *digest, GError **error)
{
    if (!complete(upload, digest, error)) {
        return FALSE;
    }
    if (!ingot_digest_equal(&upload->table->blob, digest)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "the bytes do not have the digest that was given");
        return FALSE;
    }
    return TRUE;
}

/* Many new bytes become a pack of their own, without a copy; few are added to the shared one. */
static gboolean publish(Upload *upload, Change *change, guint64 size, gint64 *blob, GError **error)
{
    if (size > 0) {
        return publish_file(change, upload->table, upload->pack, size, blob, error);
    }
    g_autofree guint8 *data = g_malloc(upload->fresh + 1);
    return ingot_file_pread(upload->pack_fd, data, upload->fresh, SEGMENT_HEAD, upload->pack, error) &&
           publish_small(change, upload->table, data, blob, error);
}

/* What can be done before the writer is ours: a large segment is completed and flushed. *size is its length, else 0. */
static gboolean prepare(Upload *upload, guint64 *size, GError **error)
{
    *size = 0;
    if (upload->fresh <= SMALL_MAX) {
        return TRUE;
    }
    if (!segment_finish(upload->pack_fd, 0, upload->fresh, upload->table, size, upload->pack, error)) {
        return FALSE;
    }
    return (ftruncate(upload->pack_fd, (off_t)*size) == 0 && fdatasync(upload->pack_fd) == 0) ||
           ingot_error_set_errno(error, errno, "%s", upload->pack);
}

static gboolean store(Upload *upload, const char *name, const IngotDigest *digest, GError **error)
{
    Change change;
    guint64 size;
    if (!prepare(upload, &size, error) || !change_begin(upload->storage, &change, error)) {
        return FALSE;
    }
    gint64 blob = names_blob(change.writer, digest, error);
    gboolean brings = FALSE;
    gboolean ok = blob >= 0 && publish_brings(&change, upload->table, blob, &brings, error) &&
                  (!brings || (fits_in(upload->storage, change.writer, upload->fresh, error) &&
                               publish(upload, &change, size, &blob, error))) &&
                  names_link(&change, name, blob, digest, error);
    return change_end(&change, ok, error);
}

gboolean storage_upload_finish(Storage *storage, const char *id, const char *name, const IngotDigest *digest,
                               GError **error)
{
    Upload *upload = enter(storage, id, error);
    if (upload == NULL) {
        return FALSE;
    }
    gboolean ok = open_files(upload, 0, error) && (upload->length == 0 || end_piece(upload, error)) &&
                  fits(upload, digest, error) && has_room(storage, upload->fresh, error) &&
                  store(upload, name, digest, error);
    end(upload);
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
