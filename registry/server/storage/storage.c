/* Storage on a file system:
 *
 *   catalogue.sqlite (-wal, -shm)   what is where (schema.c)
 *   packs/NUMBER.pack               the pieces (packs.h, segment.h)
 *   names.log                       repositories and their names, to rebuild the catalogue from (nameslog.h)
 *   uploads/ID.pack, ID.list        what has come of an upload (incoming.h)
 *   .lock                           held by the one process that serves the folder
 *   .collecting                     held while garbage is collected */
#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/catalogue/schema.h"
#include "server/storage/inside.h"
#include "server/storage/upload.h"

gint64 storage_now(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

static gboolean make_folders(const char *path, GError **error)
{
    static const char *const folders[] = {"packs", "uploads"};
    /* A folder that we make is nobody else's to read; one that is there has the mode that its owner chose. */
    if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
        if (!ingot_file_make_folder(path, error)) {
            return FALSE;
        }
        if (chmod(path, 0700) != 0) {
            return ingot_error_set_errno(error, errno, "%s", path);
        }
    }
    for (guint i = 0; i < G_N_ELEMENTS(folders); i++) {
        g_autofree char *folder = g_build_filename(path, folders[i], NULL);
        if (!ingot_file_make_folder(folder, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean open_catalogue(Storage *storage, const char *suffix, GError **error)
{
    g_autofree char *path = g_strdup_printf("%s/catalogue.sqlite%s", storage->path, suffix);
    g_autofree char *names = g_strdup_printf("%s/names.log%s", storage->path, suffix);
    storage->catalogue = database_open(path, DATABASE_PLAIN, schema_migrations, schema_count, error);
    g_autoptr(Connection) reader = storage->catalogue == NULL ? NULL : database_reader(storage->catalogue, error);
    gint64 end;
    if (reader == NULL ||
        !database_number(reader, &end, 0, error,
                         "SELECT value FROM state WHERE key='names_end' AND sum=row_sum(key, value)", "")) {
        return FALSE;
    }
    storage->names = nameslog_open(names, (guint64)end, error);
    return storage->names != NULL;
}

/* A catalogue that is not there is new only where nothing else is: an empty one would make garbage of it all. */
static gboolean check_lost(const Storage *storage, GError **error)
{
    g_autofree char *path = g_build_filename(storage->path, "catalogue.sqlite", NULL);
    g_autofree char *names = g_build_filename(storage->path, "names.log", NULL);
    g_autoptr(GArray) packs = packs_list(storage->packs);
    if (!g_file_test(path, G_FILE_TEST_EXISTS) && (packs->len > 0 || g_file_test(names, G_FILE_TEST_EXISTS))) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "%s: missing, but packs or names are there: `ingotd rebuild --data %s` makes it again", path,
                    storage->path);
        return FALSE;
    }
    return TRUE;
}

static Storage *storage_new(const char *path)
{
    Storage *storage = g_new0(Storage, 1);
    storage->path = g_canonicalize_filename(path, NULL);
    g_mutex_init(&storage->uploads_lock);
    g_mutex_init(&storage->blobs_lock);
    g_mutex_init(&storage->links_lock);
    storage->links = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_mutex_init(&storage->stats_lock);
    storage->uploads = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, upload_unref);
    storage->blobs = g_hash_table_new(ingot_digest_hash, ingot_digest_equal);
    g_queue_init(&storage->recent);
    return storage;
}

static gboolean open_packs(Storage *storage, GError **error)
{
    g_autofree char *folder = g_build_filename(storage->path, "packs", NULL);
    storage->packs = packs_open(folder, error);
    return storage->packs != NULL;
}

IngotLock *storage_lock(const char *path, GError **error)
{
    g_autofree char *name = g_build_filename(path, ".lock", NULL);
    IngotLock *lock = ingot_lock_take(name, TRUE, FALSE, error);
    if (lock == NULL) {
        g_prefix_error(error, "another ingotd serves this folder: ");
    }
    return lock;
}

Storage *storage_open(const char *path, GError **error)
{
    g_autoptr(Storage) storage = storage_new(path);
    if (!make_folders(storage->path, error) || (storage->lock = storage_lock(storage->path, error)) == NULL ||
        !open_packs(storage, error) || !check_lost(storage, error) || !open_catalogue(storage, "", error)) {
        return NULL;
    }
    uploads_sweep(storage);
    return g_steal_pointer(&storage);
}

Storage *storage_open_beside(const char *path, const char *suffix, GError **error)
{
    static const char *const names[] = {"catalogue.sqlite%s", "catalogue.sqlite%s-wal", "catalogue.sqlite%s-shm",
                                        "names.log%s"};
    g_autoptr(Storage) storage = storage_new(path);
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        /* What an attempt before this one left. */
        GString *name = g_string_new(names[i]);
        g_string_replace(name, "%s", suffix, 0);
        g_autofree char *file = g_build_filename(storage->path, name->str, NULL);
        g_string_free(name, TRUE);
        unlink(file);
    }
    return open_packs(storage, error) && open_catalogue(storage, suffix, error) ? g_steal_pointer(&storage) : NULL;
}

void storage_close(Storage *storage)
{
    if (storage == NULL) {
        return;
    }
    g_hash_table_unref(storage->uploads);
    blob_forget(storage);
    g_hash_table_unref(storage->blobs);
    nameslog_close(storage->names);
    database_close(storage->catalogue);
    packs_close(storage->packs);
    g_clear_pointer(&storage->lock, ingot_lock_release);
    g_mutex_clear(&storage->uploads_lock);
    g_mutex_clear(&storage->blobs_lock);
    g_mutex_clear(&storage->links_lock);
    g_hash_table_unref(storage->links);
    g_mutex_clear(&storage->stats_lock);
    g_free(storage->path);
    g_free(storage);
}

void storage_limit(Storage *storage, const StorageLimits *limits)
{
    storage->limits = *limits;
}

gboolean storage_writable(Storage *storage, GError **error)
{
    g_autofree char *folder = g_build_filename(storage->path, "uploads", NULL);
    g_auto(IngotFd) fd = ingot_file_open(folder, O_TMPFILE | O_WRONLY, 0600, error);
    char block[4096] = {0};
    return fd >= 0 && ingot_file_pwrite(fd, block, sizeof block, 0, folder, error);
}

/* --- changes --- */

gboolean change_begin(Storage *storage, Change *change, GError **error)
{
    *change = (Change){.storage = storage, .writer = database_begin(storage->catalogue, error)};
    if (change->writer == NULL) {
        return FALSE;
    }
    change->lines = g_string_new(NULL);
    return TRUE;
}

/* Whoever is refused (a quota) fills no disk. Not after a commit that failed: nobody knows what of it came to the disk.
 */
static void drop_own_pack(Change *change)
{
    if (change->own_pack != 0) {
        packs_remove(change->storage->packs, change->own_pack, NULL);
    }
}

/* The log of names and the commit that makes it count. */
static gboolean commit(Change *change, GError **error)
{
    Storage *storage = change->storage;
    guint64 size = change->lines->len, end = 0;
    if (size == 0) {
        return database_commit(storage->catalogue, error);
    }
    if (!nameslog_append(storage->names, change->lines, &end, error)) {
        database_rollback(storage->catalogue);
        return FALSE;
    }
    if (!database_run(
            change->writer, error,
            "INSERT OR REPLACE INTO state (key, value, sum) VALUES ('names_end', ?1, row_sum('names_end', ?1))", "i",
            (gint64)end)) {
        database_rollback(storage->catalogue);
    } else if (database_commit(storage->catalogue, error)) {
        return TRUE;
    }
    nameslog_truncate(storage->names, end - size, NULL);
    return FALSE;
}

gboolean change_end(Change *change, gboolean ok, GError **error)
{
    Storage *storage = change->storage;
    if (!ok) {
        database_rollback(storage->catalogue);
        drop_own_pack(change);
    }
    ok = ok && commit(change, error);
    g_atomic_int_inc(&storage->epoch);
    database_release(storage->catalogue);
    g_string_free(change->lines, TRUE);
    if (ok && change->moved) {
        blob_forget(storage);
    }
    return ok;
}

void change_log(Change *change, const char *op, const char *name, ...)
{
    g_autoptr(json_t) object = json_pack("{s:s, s:s, s:I}", "op", op, "name", name, "at", (json_int_t)storage_now());
    va_list texts;
    va_start(texts, name);
    const char *key;
    while ((key = va_arg(texts, const char *)) != NULL) {
        ingot_json_set_string(object, key, va_arg(texts, const char *));
    }
    va_end(texts);
    nameslog_format(change->lines, object);
}

gboolean storage_read_names(Storage *storage, NamesLogTake take, gpointer user, guint *damaged, GError **error)
{
    g_autofree char *path = g_build_filename(storage->path, "names.log", NULL);
    return nameslog_read(path, G_MAXUINT64, take, user, damaged, error);
}

/* --- figures --- */

gboolean storage_stats(Storage *storage, StorageStats *stats, GError **error)
{
    static const char sql[] = "SELECT (SELECT count(*) FROM pieces), (SELECT total(length) FROM pieces),"
                              " (SELECT count(*) FROM blobs), (SELECT total(size) FROM blobs),"
                              " (SELECT total(size) FROM packs), (SELECT count(*) FROM pieces WHERE damaged)";
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    g_autoptr(sqlite3_stmt) row = reader == NULL ? NULL : database_query(reader, sql, "");
    if (reader == NULL || !database_step(row, error)) {
        return FALSE;
    }
    g_mutex_lock(&storage->stats_lock);
    *stats = storage->stats;
    g_mutex_unlock(&storage->stats_lock);
    stats->pieces = (guint64)sqlite3_column_int64(row, 0);
    stats->stored = (guint64)sqlite3_column_int64(row, 1);
    stats->blobs = (guint64)sqlite3_column_int64(row, 2);
    stats->logical = (guint64)sqlite3_column_int64(row, 3);
    stats->packed = (guint64)sqlite3_column_int64(row, 4);
    stats->damaged = (guint64)sqlite3_column_int64(row, 5);
    g_mutex_lock(&storage->uploads_lock);
    stats->uploads = g_hash_table_size(storage->uploads);
    g_mutex_unlock(&storage->uploads_lock);
    return TRUE;
}
