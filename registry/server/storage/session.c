#include "server/storage/session.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/catalogue/leases.h"
#include "server/storage/atrest.h"
#include "server/storage/resume.h"
#include "server/storage/room.h"

#define WAIT_USEC (10 * G_TIME_SPAN_SECOND) /* for another process that is at work on an upload */

/* --- those that are at hand --- */

Upload *session_known(Storage *storage, const char *id)
{
    g_mutex_lock(&storage->uploads_lock);
    Upload *upload = g_hash_table_lookup(storage->uploads, id);
    if (upload != NULL) {
        g_atomic_ref_count_inc(&upload->references);
    }
    g_mutex_unlock(&storage->uploads_lock);
    return upload;
}

void session_each(Storage *storage, void (*func)(Upload *upload, gpointer user), gpointer user)
{
    GHashTableIter iterator;
    gpointer upload;
    g_mutex_lock(&storage->uploads_lock);
    g_hash_table_iter_init(&iterator, storage->uploads);
    while (g_hash_table_iter_next(&iterator, NULL, &upload)) {
        func(upload, user);
    }
    g_mutex_unlock(&storage->uploads_lock);
}

gboolean session_find_row(Storage *storage, const char *id, UploadRow *row, gboolean *found, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    return reader != NULL && upload_rows_find(reader, id, row, found, error);
}

/* One that another process has begun, or this one before it was started. */
static Upload *session_look_up(Storage *storage, const char *id, GError **error)
{
    g_auto(UploadRow) row = {0};
    gboolean found;
    if (!session_find_row(storage, id, &row, &found, error)) {
        return NULL;
    }
    if (!found) {
        blob_unknown(error, "the upload");
        return NULL;
    }
    Upload *upload = upload_new(storage, id);
    upload->name = g_steal_pointer(&row.name);
    upload->user = g_steal_pointer(&row.user);
    g_mutex_lock(&storage->uploads_lock);
    Upload *other = g_hash_table_lookup(storage->uploads, id);
    if (other == NULL) {
        g_hash_table_insert(storage->uploads, upload->id, upload);
        other = upload;
    } else {
        upload_unref(upload);
    }
    g_atomic_ref_count_inc(&other->references);
    g_mutex_unlock(&storage->uploads_lock);
    return other;
}

Upload *session_find(Storage *storage, const char *id, GError **error)
{
    if (!g_uuid_string_is_valid(id)) {
        blob_unknown(error, "the upload");
        return NULL;
    }
    Upload *upload = session_known(storage, id);
    return upload != NULL ? upload : session_look_up(storage, id, error);
}

void session_forget(Upload *upload)
{
    Storage *storage = upload->storage;
    room_release(upload);
    upload->ended = TRUE;
    upload_close(upload);
    g_mutex_lock(&storage->uploads_lock);
    if (g_hash_table_lookup(storage->uploads, upload->id) == upload) {
        storage->brief -= upload->brief ? 1 : 0;
        g_hash_table_remove(storage->uploads, upload->id);
    }
    g_mutex_unlock(&storage->uploads_lock);
}

/* --- the lock between processes --- */

static gboolean session_lock(Upload *upload, GError **error)
{
    gint64 end = g_get_monotonic_time() + WAIT_USEC;
    if (upload->brief) {
        return TRUE;
    }
    if (!upload_open_pack(upload, error)) {
        return FALSE;
    }
    while (flock(upload->pack_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return ingot_error_set_errno(error, errno, "%s", upload->pack);
        }
        if (g_get_monotonic_time() > end) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "another server is at work on the upload");
            return FALSE;
        }
        g_usleep(G_TIME_SPAN_MILLISECOND);
    }
    return TRUE;
}

void session_leave(Upload *upload)
{
    if (!upload->ready) {
        upload_close(upload);
    } else if (upload->pack_fd >= 0 && !upload->brief) {
        flock(upload->pack_fd, LOCK_UN);
    }
    g_mutex_unlock(&upload->lock);
    upload_unref(upload);
}

/* --- whose it is --- */

static gboolean session_is_over(GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "a newer request has gone on with the upload");
    return FALSE;
}

/* Under both locks. *mine: this process owns it, and what is at hand is what has come of it. FALSE: it is gone. */
static gboolean session_check(Upload *upload, UploadRow *row, gboolean *mine, GError **error)
{
    gboolean found;
    *mine = upload->brief;
    if (upload->brief) {
        return TRUE;
    }
    if (!session_find_row(upload->storage, upload->id, row, &found, error)) {
        return FALSE;
    }
    if (!found) { /* finished or dropped by another process */
        session_forget(upload);
        return blob_unknown(error, "the upload");
    }
    gboolean ours = strcmp(row->owner, upload->storage->self) == 0;
    if (!ours && upload->ready) {
        upload_reset(upload);
        room_release(upload);
    }
    *mine = ours && upload->ready;
    return TRUE;
}

/* How many frames were offered, as far as its files tell: none, where there is no list of them. */
static guint session_frames(const Upload *upload)
{
    struct stat st;
    return stat(upload->frames, &st) == 0 ? (guint)(st.st_size / (off_t)sizeof(UploadEntry)) : 0;
}

static gboolean session_take(Upload *upload, const UploadRow *row, gboolean all, GError **error)
{
    GError *problem = NULL;
    upload_reset(upload);
    if (!atrest_hold(upload, session_frames(upload), error)) {
        return FALSE;
    }
    if (upload_resume(upload, row, all, &problem)) {
        room_reserve(upload);
        return TRUE;
    }
    upload_reset(upload);
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        session_end(upload);
    }
    g_propagate_error(error, problem);
    return FALSE;
}

/* The upload with its locks. */
static Upload *session_open(Storage *storage, const char *id, GError **error)
{
    GError *problem = NULL;
    Upload *upload = session_find(storage, id, error);
    if (upload == NULL) {
        return NULL;
    }
    if (g_atomic_int_get(&upload->summing)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "another request is ending the upload");
        upload_unref(upload);
        return NULL;
    }
    g_mutex_lock(&upload->lock);
    if (upload->ended) {
        blob_unknown(error, "the upload");
    } else if (session_lock(upload, &problem)) {
        return upload;
    } else if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        session_end(upload); /* its files are gone, or one is a pack by now */
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    session_leave(upload);
    return NULL;
}

/* all: with what came since it was kept. */
static Upload *session_go_on(Storage *storage, const char *id, guint turn, gboolean all, GError **error)
{
    g_auto(UploadRow) row = {0};
    gboolean mine;
    Upload *upload = session_open(storage, id, error);
    if (upload == NULL) {
        return NULL;
    }
    if (session_check(upload, &row, &mine, error) &&
        (turn == 0 || (mine && turn == upload->turn) || session_is_over(error)) &&
        (mine || session_take(upload, &row, all, error))) {
        upload->lapses = 0;
        return upload;
    }
    session_leave(upload);
    return NULL;
}

Upload *session_enter(Storage *storage, const char *id, guint turn, GError **error)
{
    return session_go_on(storage, id, turn, TRUE, error);
}

Upload *session_enter_kept(Storage *storage, const char *id, GError **error)
{
    return session_go_on(storage, id, 0, FALSE, error);
}

gboolean session_peek(Storage *storage, const char *id, guint64 *size, gboolean *elsewhere, GError **error)
{
    g_auto(UploadRow) row = {0};
    gboolean found = FALSE;
    *elsewhere = FALSE;
    if (storage->shared && !session_find_row(storage, id, &row, &found, error)) {
        return FALSE;
    }
    *elsewhere = found && *row.owner != '\0' && strcmp(row.owner, storage->self) != 0;
    *size = *elsewhere ? row.size : 0;
    return TRUE;
}

Upload *session_seize(Storage *storage, const char *id, GError **error)
{
    return session_open(storage, id, error);
}

Upload *session_at_hand(Storage *storage, const char *id)
{
    g_auto(UploadRow) row = {0};
    gboolean mine;
    Upload *upload = session_known(storage, id);
    if (upload == NULL || g_atomic_int_get(&upload->summing)) {
        upload_unref(upload);
        return NULL;
    }
    g_mutex_lock(&upload->lock);
    if (!upload->ended && upload->ready && session_lock(upload, NULL) && session_check(upload, &row, &mine, NULL) &&
        mine) {
        return upload;
    }
    session_leave(upload);
    return NULL;
}

gboolean session_try(Upload *upload)
{
    g_auto(UploadRow) row = {0};
    gboolean mine;
    if (g_atomic_int_get(&upload->summing) || !g_mutex_trylock(&upload->lock)) {
        return FALSE;
    }
    g_atomic_ref_count_inc(&upload->references);
    if (!upload->ended && upload->ready && upload_open_pack(upload, NULL) &&
        flock(upload->pack_fd, LOCK_EX | LOCK_NB) == 0 && session_check(upload, &row, &mine, NULL) && mine) {
        return TRUE;
    }
    upload_close(upload);
    session_leave(upload);
    return FALSE;
}

/* --- its beginning and end --- */

static gboolean session_add_row(Upload *upload, GError **error)
{
    Storage *storage = upload->storage;
    Change change;
    gint64 now = storage_now();
    const UploadRow row = {
        .name = upload->name, .user = upload->user, .owner = storage->self, .until = now + UPLOAD_AGE};
    return upload->brief || (change_begin(storage, &change, error) &&
                             change_end(&change, upload_rows_add(change.writer, upload->id, &row, now, error), error));
}

static void session_unlink(const Upload *upload)
{
    unlink(upload->list);
    unlink(upload->frames);
    unlink(upload->pack);
}

/* The files first: a row without them is dropped when it is found, files without a row are in nobody's way. */
gboolean session_begin(Upload *upload, GError **error)
{
    Storage *storage = upload->storage;
    if (!upload_open(upload, O_CREAT | O_EXCL, error) || !session_add_row(upload, error)) {
        session_unlink(upload);
        upload_close(upload); /* another try makes files of its own */
        return FALSE;
    }
    upload->ready = TRUE;
    upload_close(upload);
    g_mutex_lock(&storage->uploads_lock);
    g_hash_table_insert(storage->uploads, upload->id, upload);
    storage->brief += upload->brief ? 1 : 0;
    g_mutex_unlock(&storage->uploads_lock);
    return TRUE;
}

/* Where that fails, the lease lapses, and so does the row. */
static void session_drop_rows(Upload *upload)
{
    Change change;
    if ((upload->leased != 0 || !upload->brief) && change_begin(upload->storage, &change, NULL)) {
        change_end(&change,
                   leases_drop(change.writer, upload->id, NULL) && upload_rows_drop(change.writer, upload->id, NULL),
                   NULL);
    }
}

void session_end(Upload *upload)
{
    if (!upload->stored) {
        session_drop_rows(upload);
    }
    session_unlink(upload);
    session_forget(upload);
}

void session_shelve(Upload *upload)
{
    if (upload->brief) {
        session_end(upload);
        return;
    }
    /* What did not come to its end gives its room back: the disk may be full. A commit that broke off may have made a
     * pack of it. */
    gboolean cut = upload->pack_fd >= 0 && !upload_is_pack(upload) &&
                   ftruncate(upload->pack_fd, (off_t)(SEGMENT_HEAD + MAX(upload->fresh, upload->kept_end))) == 0;
    (void)cut;
    upload_reset(upload);
}
