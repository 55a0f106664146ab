#include "server/storage/session.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/catalogue/leases.h"
#include "server/storage/resume.h"
#include "server/storage/room.h"

#define WAIT_USEC (10 * G_TIME_SPAN_SECOND) /* for another process that is at work on an upload */

/* --- those that are at hand --- */

static Upload *session_known(Storage *storage, const char *id)
{
    g_mutex_lock(&storage->uploads_lock);
    Upload *upload = g_hash_table_lookup(storage->uploads, id);
    if (upload != NULL) {
        g_atomic_ref_count_inc(&upload->references);
    }
    g_mutex_unlock(&storage->uploads_lock);
    return upload;
}

static gboolean session_find_row(Storage *storage, const char *id, UploadRow *row, gboolean *found, GError **error)
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

/* With a reference; NOT_FOUND. */
static Upload *session_find(Storage *storage, const char *id, GError **error)
{
    if (!g_uuid_string_is_valid(id)) {
        blob_unknown(error, "the upload");
        return NULL;
    }
    Upload *upload = session_known(storage, id);
    return upload != NULL ? upload : session_look_up(storage, id, error);
}

/* Nobody finds it here any more. */
static void session_forget(Upload *upload)
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

static gboolean session_take(Upload *upload, const UploadRow *row, GError **error)
{
    GError *problem = NULL;
    if (upload_resume(upload, row, &problem)) {
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

Upload *session_enter(Storage *storage, const char *id, guint turn, GError **error)
{
    g_auto(UploadRow) row = {0};
    gboolean mine;
    Upload *upload = session_open(storage, id, error);
    if (upload == NULL) {
        return NULL;
    }
    if (session_check(upload, &row, &mine, error) &&
        (turn == 0 || (mine && turn == upload->turn) || session_is_over(error)) &&
        (mine || session_take(upload, &row, error))) {
        upload->lapses = 0;
        return upload;
    }
    session_leave(upload);
    return NULL;
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
    if (upload == NULL) {
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
    /* What did not come to its end gives its room back: the disk may be full. */
    gboolean cut = upload->pack_fd >= 0 &&
                   ftruncate(upload->pack_fd, (off_t)(SEGMENT_HEAD + MAX(upload->fresh, upload->kept_end))) == 0;
    (void)cut;
    upload_reset(upload);
}

/* --- those that nobody goes on with --- */

/* A list without a row is an older program's; and a row tells less of what an upload takes than its file, where more
 * came than was kept. */
static gboolean session_adopt(Connection *writer, const char *folder, const char *file, GError **error)
{
    g_autofree char *id = g_strndup(file, strcspn(file, "."));
    g_autofree char *name = g_strconcat(id, ".pack", NULL), *path = g_build_filename(folder, name, NULL);
    struct stat st;
    if (!g_uuid_string_is_valid(id) || stat(path, &st) != 0) {
        return TRUE;
    }
    guint64 staged = st.st_size > SEGMENT_HEAD ? (guint64)st.st_size - SEGMENT_HEAD : 0;
    if (!g_str_has_suffix(file, ".list")) {
        return upload_rows_grow(writer, id, staged, error);
    }
    char none[] = "";
    const UploadRow row = {.name = none, .owner = none, .until = st.st_mtime + UPLOAD_AGE, .staged = staged};
    return upload_rows_adopt(writer, id, &row, st.st_mtime, error);
}

gboolean uploads_adopt(Storage *storage, GError **error)
{
    Change change;
    g_autofree char *folder = g_build_filename(storage->path, "uploads", NULL);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *file = dir == NULL ? NULL : g_dir_read_name(dir);
    if (file == NULL) {
        return TRUE;
    }
    gboolean ok = change_begin(storage, &change, error);
    if (!ok) {
        return FALSE;
    }
    for (; ok && file != NULL; file = g_dir_read_name(dir)) {
        ok = session_adopt(change.writer, folder, file, error);
    }
    return change_end(&change, ok, error);
}

/* Under its lock: whether no other process is at work on it. */
static gboolean session_is_idle(Upload *upload)
{
    return !upload->ended && (!upload_open_pack(upload, NULL) || flock(upload->pack_fd, LOCK_EX | LOCK_NB) == 0);
}

/* Under both locks: whether it is still kept no longer. Somebody may have gone on with it since that was looked up. */
static gboolean session_has_lapsed(const Upload *upload, gint64 now)
{
    g_auto(UploadRow) row = {0};
    gboolean found;
    return session_find_row(upload->storage, upload->id, &row, &found, NULL) && (!found || row.until <= now);
}

/* One that is being worked on stays. */
static gboolean session_drop_idle(Storage *storage, const char *id, gint64 now)
{
    Upload *upload = session_find(storage, id, NULL);
    if (upload == NULL) {
        return FALSE;
    }
    if (!g_mutex_trylock(&upload->lock)) {
        upload_unref(upload);
        return FALSE;
    }
    gboolean idle = session_is_idle(upload) && session_has_lapsed(upload, now);
    if (idle) {
        session_end(upload);
    }
    session_leave(upload);
    return idle;
}

/* All that are at hand, each with a reference. */
static GPtrArray *session_list(Storage *storage)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(upload_unref);
    GHashTableIter iterator;
    gpointer upload;
    g_mutex_lock(&storage->uploads_lock);
    g_hash_table_iter_init(&iterator, storage->uploads);
    while (g_hash_table_iter_next(&iterator, NULL, &upload)) {
        g_atomic_ref_count_inc(&((Upload *)upload)->references);
        g_ptr_array_add(list, upload);
    }
    g_mutex_unlock(&storage->uploads_lock);
    return list;
}

/* Under its lock: what this process holds of an upload that is not its own any more. */
static gboolean session_let_go(Upload *upload)
{
    g_auto(UploadRow) row = {0};
    gboolean found;
    if (upload->ended || upload->brief || !session_find_row(upload->storage, upload->id, &row, &found, NULL)) {
        return FALSE;
    }
    if (!found) {
        session_forget(upload);
        return TRUE;
    }
    if (strcmp(row.owner, upload->storage->self) == 0 || (!upload->ready && upload->reserved == 0)) {
        return FALSE;
    }
    upload_reset(upload);
    room_release(upload);
    return TRUE;
}

static gboolean session_drop_at_hand(Storage *storage)
{
    g_autoptr(GPtrArray) list = session_list(storage);
    gboolean any = FALSE;
    for (guint i = 0; i < list->len; i++) {
        Upload *upload = g_ptr_array_index(list, i);
        if (!g_mutex_trylock(&upload->lock)) {
            continue;
        }
        g_atomic_ref_count_inc(&upload->references);
        if (session_let_go(upload)) {
            any = TRUE;
        } else if (upload->lapses != 0 && upload->lapses <= storage_now() && session_is_idle(upload)) {
            session_end(upload);
            any = TRUE;
        }
        session_leave(upload);
    }
    return any;
}

gboolean uploads_drop_refused(Storage *storage)
{
    g_autoptr(GPtrArray) list = session_list(storage);
    Upload *largest = NULL; /* with its lock and a reference */
    for (guint i = 0; i < list->len; i++) {
        Upload *upload = g_ptr_array_index(list, i);
        if (!g_mutex_trylock(&upload->lock)) {
            continue;
        }
        g_atomic_ref_count_inc(&upload->references);
        gint64 refused = upload->lapses - UPLOAD_REFUSED_AGE;
        if (upload->lapses == 0 || storage_now() < refused + UPLOAD_REFUSED_REST ||
            (largest != NULL && largest->reserved >= upload->reserved) || !session_is_idle(upload)) {
            session_leave(upload);
            continue;
        }
        if (largest != NULL) {
            session_leave(largest);
        }
        largest = upload;
    }
    if (largest != NULL) {
        session_end(largest);
        session_leave(largest);
    }
    return largest != NULL;
}

/* On a full disk the row may stay as it was: this process knows. */
void session_refuse(Upload *upload)
{
    Change change;
    uploads_drop_refused(upload->storage);
    if (upload->brief || upload->ended) {
        return;
    }
    upload->lapses = storage_now() + UPLOAD_REFUSED_AGE;
    if (change_begin(upload->storage, &change, NULL)) {
        change_end(&change, upload_rows_lapse(change.writer, upload->id, upload->lapses, NULL), NULL);
    }
}

gboolean uploads_drop_lapsed(Storage *storage)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, NULL);
    gint64 now = storage_now();
    g_auto(GStrv) ids = reader == NULL ? NULL : upload_rows_lapsed(reader, now, NULL);
    gboolean any = session_drop_at_hand(storage);
    for (guint i = 0; ids != NULL && ids[i] != NULL; i++) {
        any |= session_drop_idle(storage, ids[i], now);
    }
    return any;
}

/* Half an upload, a brief one that a crash left, or a pack that did not come to its end. */
static void session_sweep_file(Storage *storage, const char *folder, const char *file)
{
    g_autofree char *path = g_build_filename(folder, file, NULL), *id = g_strndup(file, strcspn(file, "."));
    g_auto(UploadRow) row = {0};
    struct stat st;
    gboolean found;
    if (stat(path, &st) != 0 || st.st_mtime + UPLOAD_AGE >= storage_now() ||
        !session_find_row(storage, id, &row, &found, NULL) || found) {
        return;
    }
    g_autoptr(Upload) brief = session_known(storage, id);
    if (brief == NULL) {
        unlink(path);
    }
}

void uploads_sweep(Storage *storage)
{
    g_autofree char *folder = g_build_filename(storage->path, "uploads", NULL);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *file;
    uploads_drop_lapsed(storage);
    while (dir != NULL && (file = g_dir_read_name(dir)) != NULL) {
        session_sweep_file(storage, folder, file);
    }
}
