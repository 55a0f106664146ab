#include "server/storage/lapse.h"

#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/storage/room.h"
#include "server/storage/session.h"

/* A list without a row is an older program's; and a row tells less of what an upload takes than its file, where more
 * came than was kept. */
static gboolean lapse_adopt(Connection *writer, const char *folder, const char *file, GError **error)
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
        ok = lapse_adopt(change.writer, folder, file, error);
    }
    return change_end(&change, ok, error);
}

/* Under its lock: whether no other process is at work on it. */
static gboolean lapse_is_idle(Upload *upload)
{
    return !upload->ended && (!upload_open_pack(upload, NULL) || flock(upload->pack_fd, LOCK_EX | LOCK_NB) == 0);
}

/* Under both locks: whether it is still kept no longer. Somebody may have gone on with it since that was looked up. */
static gboolean lapse_is_due(const Upload *upload, gint64 now)
{
    g_auto(UploadRow) row = {0};
    gboolean found;
    return session_find_row(upload->storage, upload->id, &row, &found, NULL) && (!found || row.until <= now);
}

/* One that is being worked on stays. */
static gboolean lapse_drop(Storage *storage, const char *id, gint64 now)
{
    Upload *upload = session_find(storage, id, NULL);
    if (upload == NULL) {
        return FALSE;
    }
    if (!g_mutex_trylock(&upload->lock)) {
        upload_unref(upload);
        return FALSE;
    }
    gboolean idle = lapse_is_idle(upload) && lapse_is_due(upload, now);
    if (idle) {
        session_end(upload);
    }
    session_leave(upload);
    return idle;
}

static void lapse_take(Upload *upload, gpointer list)
{
    g_atomic_ref_count_inc(&upload->references);
    g_ptr_array_add(list, upload);
}

/* All that are at hand, each with a reference. */
static GPtrArray *lapse_list(Storage *storage)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(upload_unref);
    session_each(storage, lapse_take, list);
    return list;
}

/* Under its lock: what this process holds of an upload that is not its own any more. */
static gboolean lapse_let_go(Upload *upload)
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
    upload->lapses = 0;
    return TRUE;
}

/* Under both locks: whether no other process has gone on with it since this one had no room for it. */
static gboolean lapse_is_refused(Upload *upload, gint64 until)
{
    g_auto(UploadRow) row = {0};
    gboolean found;
    if (upload->lapses == 0 || upload->lapses > until || !lapse_is_idle(upload) ||
        !session_find_row(upload->storage, upload->id, &row, &found, NULL)) {
        return FALSE;
    }
    return found && strcmp(row.owner, upload->storage->self) == 0;
}

static gboolean lapse_at_hand(Storage *storage)
{
    g_autoptr(GPtrArray) list = lapse_list(storage);
    gboolean any = FALSE;
    for (guint i = 0; i < list->len; i++) {
        Upload *upload = g_ptr_array_index(list, i);
        if (!g_mutex_trylock(&upload->lock)) {
            continue;
        }
        g_atomic_ref_count_inc(&upload->references);
        if (lapse_let_go(upload)) {
            any = TRUE;
        } else if (lapse_is_refused(upload, storage_now())) {
            session_end(upload);
            any = TRUE;
        }
        session_leave(upload);
    }
    return any;
}

gboolean uploads_drop_refused(Storage *storage)
{
    g_autoptr(GPtrArray) list = lapse_list(storage);
    Upload *largest = NULL; /* with its lock and a reference */
    for (guint i = 0; i < list->len; i++) {
        Upload *upload = g_ptr_array_index(list, i);
        if (!g_mutex_trylock(&upload->lock)) {
            continue;
        }
        g_atomic_ref_count_inc(&upload->references);
        gint64 until = storage_now() - UPLOAD_REFUSED_REST + UPLOAD_REFUSED_AGE;
        if ((largest != NULL && largest->reserved >= upload->reserved) || !lapse_is_refused(upload, until)) {
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
void upload_refuse(Upload *upload)
{
    Change change;
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
    gboolean any = lapse_at_hand(storage);
    for (guint i = 0; ids != NULL && ids[i] != NULL; i++) {
        any |= lapse_drop(storage, ids[i], now);
    }
    return any;
}

/* Half an upload, a brief one that a crash left, or a pack that did not come to its end. */
static void lapse_sweep_file(Storage *storage, const char *folder, const char *file)
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
        lapse_sweep_file(storage, folder, file);
    }
}
