/* Storage on a file system:
 *
 *   catalogue.sqlite (-wal, -shm)   what is where (schema.c)
 *   packs/NUMBER.pack               the pieces (packs.h, segment.h)
 *   names.log                       every change of a name, to rebuild the catalogue from (eventlog.h)
 *   uploads/ID.pack, .list, .frames what has come of an upload (incoming.h)
 *   reserve                         room for a collection on a full disk (reserve.h)
 *   .lock                           held by the one process that serves the folder
 *   .collecting                     held while garbage is collected */
#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/nameless.h"
#include "base/text.h"
#include "server/catalogue/counters.h"
#include "server/catalogue/logmark.h"
#include "server/catalogue/pieces.h"
#include "server/catalogue/rowcheck.h"
#include "server/catalogue/schema.h"
#include "server/catalogue/uploadrows.h"
#include "server/events/checkpoint.h"
#include "server/storage/channels.h"
#include "server/storage/condense.h"
#include "server/storage/framesum.h"
#include "server/storage/inside.h"
#include "server/storage/lapse.h"
#include "server/storage/offer.h"
#include "server/storage/packcheck.h"
#include "server/storage/pulls.h"
#include "server/storage/readers.h"
#include "server/storage/reserve.h"

#define HASHERS 4 /* offers that are hashed at once, for as long as their frames come */

gint64 storage_now(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

gint64 change_time(const Change *change)
{
    return change->at != 0 ? change->at : storage_now();
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
    g_autoptr(GError) problem = NULL;
    storage->catalogue = database_open(path, DATABASE_PLAIN, schema_migrations, schema_count, &problem);
    if (storage->catalogue == NULL && g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
        g_autofree char *word = ingot_text_word(storage->path);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "%s. `ingotd rebuild --data %s` makes it again from the packs and the log of events",
                    problem->message, word);
    } else if (storage->catalogue == NULL) {
        g_propagate_error(error, g_steal_pointer(&problem));
    }
    return storage->catalogue != NULL;
}

/* Whether the folder holds anything that a catalogue should know. */
static gboolean look_in(const Storage *storage, gboolean *in_use, GError **error)
{
    struct stat st;
    g_autoptr(GArray) packs = packs_list(storage->packs, error);
    *in_use = packs != NULL && (packs->len > 0 || (stat(storage->events, &st) == 0 && st.st_size > 0));
    return packs != NULL;
}

static gboolean lost_catalogue(const Storage *storage, const char *what, GError **error)
{
    g_autofree char *word = ingot_text_word(storage->path);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                "%s/catalogue.sqlite: %s, but packs or names are there. `ingotd rebuild --data %s` makes it again",
                storage->path, what, word);
    return FALSE;
}

/* A catalogue that is not there is new only where nothing else is: an empty one would make garbage of it all. */
static gboolean check_lost(const Storage *storage, GError **error)
{
    gboolean in_use;
    g_autofree char *path = g_build_filename(storage->path, "catalogue.sqlite", NULL);
    return g_file_test(path, G_FILE_TEST_EXISTS) ||
           (look_in(storage, &in_use, error) && (!in_use || lost_catalogue(storage, "missing", error)));
}

/* The mark of the last event; what a catalogue that is new, or of an older version, lacks of it is set. */
static gboolean find_mark(Change *change, EventMark *mark, GError **error)
{
    Storage *storage = change->storage;
    LogMarkKind kind;
    if (!logmark_get(change->writer, mark, &kind, error)) {
        g_prefix_error(error, "%s: `ingotd rebuild` makes the catalogue again: ", storage->path);
        return FALSE;
    }
    if (kind == LOGMARK_KNOWN) {
        return TRUE;
    }
    gboolean in_use = FALSE;
    if (kind == LOGMARK_NONE && (!look_in(storage, &in_use, error) || in_use)) {
        return in_use && lost_catalogue(storage, "empty", error);
    }
    return eventlog_start(storage->events, mark->end, mark, error) && logmark_set(change->writer, mark, error);
}

/* The last event is damaged, and all before it is whole. The catalogue was committed with what the event changed: where
 * it is whole itself, nothing is lost. The log begins anew with all that the catalogue has, and the damaged one is
 * kept. Takes the problem. */
static gboolean mend_events(Change *change, const EventMark *mark, GError *problem, GError **error)
{
    const char *path = change->storage->events;
    g_autofree char *complaint = NULL;
    if (eventlog_lost_last(path, mark)) {
        complaint = row_check_first(change->writer);
        if (complaint == NULL && condense_now(change, mark, NULL, error)) {
            g_warning("%s: event %" G_GUINT64_FORMAT
                      ", the last, is damaged. The catalogue has what it changed: the log"
                      " begins anew with a checkpoint, and the damaged one is kept beside it",
                      path, mark->number);
            g_error_free(problem);
            return TRUE;
        }
        g_clear_error(error);
    }
    g_propagate_error(error, problem);
    return FALSE;
}

/* The catalogue and its log agree, or the folder is refused as it stands: nothing of the log is given up for a
 * catalogue that does not know it. */
static gboolean check_events(Change *change, GError **error)
{
    const char *path = change->storage->events;
    EventMark mark;
    gboolean tail, moved;
    checkpoint_settle(path);
    if (!find_mark(change, &mark, error) || !eventlog_locate(path, &mark, &moved, error) ||
        (moved && !logmark_set(change->writer, &mark, error))) {
        return FALSE;
    }
    GError *problem = NULL;
    if (!eventlog_check(path, &mark, &tail, &problem)) {
        return mend_events(change, &mark, problem, error);
    }
    if (tail && !eventlog_settle(path, &mark, &problem)) {
        /* The next change will try again, and fail if it has to: what is there can be read. */
        g_warning("an event that was not committed is not set aside yet: %s", problem->message);
        g_error_free(problem);
    } else if (tail) {
        g_message("%s: the transaction behind event %" G_GUINT64_FORMAT " was not committed; it is kept in %s.aside",
                  path, mark.number, path);
    }
    return TRUE;
}

static gboolean open_events(Storage *storage, GError **error)
{
    Change change;
    return change_begin(storage, &change, error) && change_end(&change, check_events(&change, error), error);
}

/* NULL: the system gives it no threads. */
static Storage *storage_new(const char *path, GError **error)
{
    g_autoptr(GError) problem = NULL;
    Storage *storage = g_new0(Storage, 1);
    storage->path = g_canonicalize_filename(path, NULL);
    storage->events = g_build_filename(storage->path, "names.log", NULL);
    storage->self = g_uuid_string_random();
    g_mutex_init(&storage->uploads_lock);
    g_mutex_init(&storage->flush_lock);
    g_mutex_init(&storage->pulls_lock);
    storage->pulls = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_mutex_init(&storage->links_lock);
    storage->links = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_mutex_init(&storage->stats_lock);
    /* All at once: a pool that gets its first thread later may get none, and what it was given waits for ever. */
    storage->hashers = g_thread_pool_new(offer_hash, storage, HASHERS, TRUE, &problem);
    storage->frame_readers = g_thread_pool_new(framesum_read, NULL, HASHERS, TRUE, problem == NULL ? &problem : NULL);
    storage->uploads = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, upload_unref);
    storage->manifests = kept_manifests_new();
    storage->version_names = version_names_new();
    g_mutex_init(&storage->readers_lock);
    g_mutex_init(&storage->pipelines_load);
    g_mutex_init(&storage->pipelines_lock);
    storage->pipelines = g_ptr_array_new_with_free_func((GDestroyNotify)pipeline_unref);
    storage->pipelines_changes = -1;
    storage->usual_pipeline = pipeline_default();
    g_mutex_init(&storage->aliases_lock);
    storage->aliases = g_hash_table_new_full(ingot_digest_hash, ingot_digest_equal, g_free, g_free);
    storage->cache = blobcache_new();
    storage->notes = notes_new(storage);
    storage->proof = proof_new();
    if (problem != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "no thread for the storage: %s", problem->message);
        storage_close(storage);
        return NULL;
    }
    return storage;
}

static gboolean open_packs(Storage *storage, GError **error)
{
    g_autofree char *folder = g_build_filename(storage->path, "packs", NULL);
    storage->packs = packs_open(folder, error);
    return storage->packs != NULL;
}

IngotLock *storage_lock(const char *path, gboolean shared, GError **error)
{
    g_autofree char *name = g_build_filename(path, ".lock", NULL);
    GError *problem = NULL;
    IngotLock *lock = ingot_lock_take(name, !shared, FALSE, &problem);
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_EXISTS)) {
        g_prefix_error(&problem, "another ingotd serves this folder: ");
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return lock;
}

static Storage *storage_open_as(const char *path, gboolean shared, GError **error)
{
    g_autoptr(Storage) storage = storage_new(path, error);
    if (storage == NULL) {
        return NULL;
    }
    storage->shared = shared;
    if (!make_folders(storage->path, error) || (storage->lock = storage_lock(storage->path, shared, error)) == NULL ||
        !open_packs(storage, error) || !check_lost(storage, error) || !open_catalogue(storage, "", error) ||
        !open_events(storage, error) || !storage_load_pipelines(storage, error) || !packcheck(storage, error)) {
        return NULL;
    }
    reserve_make(storage->path);
    if (!uploads_adopt(storage, error)) {
        return NULL;
    }
    uploads_sweep(storage);
    readers_begin(storage);
    return g_steal_pointer(&storage);
}

Storage *storage_open(const char *path, GError **error)
{
    return storage_open_as(path, FALSE, error);
}

Storage *storage_open_shared(const char *path, GError **error)
{
    return storage_open_as(path, TRUE, error);
}

Storage *storage_open_bare(const char *path, GError **error)
{
    g_autoptr(Storage) storage = storage_new(path, error);
    return storage != NULL && open_packs(storage, error) && open_catalogue(storage, "", error)
               ? g_steal_pointer(&storage)
               : NULL;
}

Storage *storage_open_beside(const char *path, const char *suffix, GError **error)
{
    static const char *const names[] = {"catalogue.sqlite%s", "catalogue.sqlite%s-wal", "catalogue.sqlite%s-shm"};
    g_autoptr(Storage) storage = storage_new(path, error);
    if (storage == NULL) {
        return NULL;
    }
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
    if (storage->lock != NULL && storage->catalogue != NULL) {
        pulls_flush(storage, NULL);
        readers_end(storage);
    }
    g_hash_table_unref(storage->pulls);
    g_hash_table_unref(storage->uploads);
    g_thread_pool_free(storage->hashers, FALSE, TRUE); /* before what they note goes */
    g_thread_pool_free(storage->frame_readers, FALSE, TRUE);
    notes_free(storage->notes);
    proof_free(storage->proof);
    blobcache_free(storage->cache);
    g_free(storage->events);
    database_close(storage->catalogue);
    packs_close(storage->packs);
    g_clear_pointer(&storage->lock, ingot_lock_release);
    g_mutex_clear(&storage->uploads_lock);
    g_mutex_clear(&storage->pulls_lock);
    g_mutex_clear(&storage->flush_lock);
    g_mutex_clear(&storage->links_lock);
    g_hash_table_unref(storage->links);
    kept_manifests_free(storage->manifests);
    version_names_free(storage->version_names);
    g_mutex_clear(&storage->readers_lock);
    g_mutex_clear(&storage->pipelines_load);
    g_mutex_clear(&storage->pipelines_lock);
    g_ptr_array_unref(storage->pipelines);
    pipeline_unref(storage->usual_pipeline);
    g_mutex_clear(&storage->aliases_lock);
    g_hash_table_unref(storage->aliases);
    g_mutex_clear(&storage->stats_lock);
    g_free(storage->self);
    g_free(storage->path);
    g_free(storage);
}

void storage_limit(Storage *storage, const StorageLimits *limits)
{
    storage->limits = *limits;
}

void storage_let_go(Storage *storage)
{
    readers_move(storage);
    if (packs_has_removed(storage->packs)) {
        blob_forget(storage);
    }
}

const char *storage_path(const Storage *storage)
{
    return storage->path;
}

gboolean storage_is_sparse(const Storage *storage, const char *name)
{
    return storage->limits.sparse != NULL && g_pattern_match_simple(storage->limits.sparse, name);
}

gboolean storage_writable(Storage *storage, GError **error)
{
    if (database_is_stopped(storage->catalogue)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED,
                    "%s: the disk failed in the middle of a change; restart ingotd", storage->path);
        return FALSE;
    }
    g_autofree char *folder = g_build_filename(storage->path, "uploads", NULL);
    g_auto(IngotFd) fd = ingot_nameless_open(folder, error);
    char block[4096] = {0};
    return fd >= 0 && ingot_file_pwrite(fd, block, sizeof block, 0, folder, error);
}

/* --- changes --- */

gboolean change_begin(Storage *storage, Change *change, GError **error)
{
    notes_wait(storage->notes);
    *change = (Change){.storage = storage, .writer = database_begin(storage->catalogue, error)};
    if (change->writer == NULL) {
        return FALSE;
    }
    change->at = storage_now(); /* one time for its rows and its events, though a second may end meanwhile */
    change->events = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);
    /* No other process changes them until it ends: what it does to channels, it does by those that count. */
    return storage_refresh_pipelines(storage, error) || change_end(change, FALSE, NULL);
}

/* The pack of a change that surely did not happen: whoever is refused (a quota, a full disk) fills no disk. A commit
 * that broke off stops the catalogue: nobody knows what of it came to the disk, and the pack stays. */
static void drop_own_pack(Change *change)
{
    if (change->own_pack != 0) {
        packs_remove(change->storage->packs, change->own_pack, NULL);
    }
}

/* The events and the commit that makes them count. The log goes first: what stands behind the catalogue's mark did not
 * happen, what stands before it did. */
static gboolean commit(Change *change, GError **error)
{
    Storage *storage = change->storage;
    Database *catalogue = storage->catalogue;
    EventMark before, after;
    LogMarkKind kind;
    gboolean moved;
    if (change->events->len == 0) {
        return database_commit(catalogue, error);
    }
    g_autoptr(GString) lines = g_string_new(NULL);
    gboolean ok =
        logmark_get(change->writer, &before, &kind, error) && eventlog_locate(storage->events, &before, &moved, error);
    if (ok) {
        after = before;
        eventlog_format(lines, change->events, &after);
        ok = logmark_set(change->writer, &after, error) && eventlog_append(storage->events, &before, lines, error);
    }
    if (!ok) {
        database_rollback(catalogue);
        return FALSE;
    }
    if (database_commit(catalogue, error)) {
        return TRUE;
    }
    if (!database_is_stopped(catalogue)) {
        eventlog_undo(storage->events, &before, NULL);
    }
    return FALSE;
}

gboolean change_end(Change *change, gboolean ok, GError **error)
{
    Storage *storage = change->storage;
    if (!ok) {
        database_rollback(storage->catalogue);
    }
    ok = ok && commit(change, error);
    if (!ok && !database_is_stopped(storage->catalogue)) {
        drop_own_pack(change);
    }
    database_release(storage->catalogue);
    g_ptr_array_unref(change->events);
    if (ok && change->moved) {
        blob_forget(storage);
    }
    return ok;
}

void change_log(Change *change, const char *op, const char *name, ...)
{
    json_t *object = ingot_json_pack("{s:s, s:s, s:I}", "op", op, "name", name, "at", (json_int_t)change_time(change));
    if (change->actor != NULL) {
        ingot_json_set_string(object, "by", change->actor->name);
        ingot_json_set_string(object, "why", change->actor->reason);
        ingot_json_set_string(object, "from", change->actor->from[0] == '\0' ? NULL : change->actor->from);
    }
    va_list texts;
    va_start(texts, name);
    const char *key;
    while ((key = va_arg(texts, const char *)) != NULL) {
        ingot_json_set_string(object, key, va_arg(texts, const char *));
    }
    va_end(texts);
    g_ptr_array_add(change->events, object);
}

/* --- figures --- */

gboolean storage_stats(Storage *storage, StorageStats *stats, GError **error)
{
    Counters counters;
    guint uploads;
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    if (reader == NULL || !counters_read(reader, &counters, error) ||
        !upload_rows_count(reader, NULL, &uploads, error)) {
        return FALSE;
    }
    g_mutex_lock(&storage->stats_lock);
    *stats = storage->stats;
    g_mutex_unlock(&storage->stats_lock);
    stats->pieces = counters.pieces;
    stats->stored = counters.stored;
    stats->blobs = counters.blobs;
    stats->logical = counters.logical;
    stats->packed = counters.packed;
    stats->damaged = counters.damaged;
    g_mutex_lock(&storage->uploads_lock);
    stats->uploads = uploads + storage->brief;
    g_mutex_unlock(&storage->uploads_lock);
    return TRUE;
}
