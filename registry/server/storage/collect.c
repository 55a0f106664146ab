#include "server/storage/collect.h"

#include <ingot/error.h>
#include <stdarg.h>
#include <string.h>

#include "server/storage/condense.h"
#include "server/storage/evict.h"
#include "server/storage/garbage.h"
#include "server/storage/lapse.h"
#include "server/storage/packcheck.h"
#include "server/storage/pulls.h"
#include "server/storage/readers.h"
#include "server/storage/reserve.h"
#include "server/storage/survey.h"
#include "server/storage/sweep.h"

#define BATCH_NAMES 128 /* names and blobs that are deleted in one change */
#define PAUSE_USEC 2000 /* between two: others write too */

void collection_tell(const Collection *collection, const char *format, ...)
{
    if (collection->options->tell == NULL) {
        return;
    }
    va_list values;
    va_start(values, format);
    g_autofree char *line = g_strdup_vprintf(format, values);
    va_end(values);
    collection->options->tell(line, collection->options->user);
}

gboolean collection_goes_on(const Collection *collection, GError **error)
{
    const CollectOptions *options = collection->options;
    if (options->stop != NULL && options->stop(options->user)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED,
                    "garbage collection was stopped; the next one goes on");
        return FALSE;
    }
    return TRUE;
}

/* --- batches --- */

gboolean collection_commit(Collection *collection, gboolean ok, GError **error)
{
    if (!collection->changing) {
        return ok;
    }
    collection->changing = FALSE;
    return change_end(&collection->change, ok, error);
}

gboolean collection_change(Collection *collection, GError **error)
{
    static const StorageActor gc = {.name = "gc"};
    if (collection->changing && collection->done >= BATCH_NAMES) {
        if (!collection_commit(collection, TRUE, error)) {
            return FALSE;
        }
        g_usleep(PAUSE_USEC);
    }
    if (!collection->changing) {
        if (!collection_goes_on(collection, error) || !change_begin(collection->storage, &collection->change, error)) {
            return FALSE;
        }
        collection->change.actor = &gc;
        collection->changing = TRUE;
        collection->done = 0;
    }
    collection->done++;
    return TRUE;
}

/* --- the whole --- */

static gboolean make_room(Collection *collection, GError **error)
{
    g_autoptr(Connection) reader = database_reader(collection->storage->catalogue, error);
    return reader != NULL && database_hold(reader, error) && eviction_choose(collection, reader, error);
}

/* All of it is read from one state, and nobody waits for it. */
static gboolean dry_run(Collection *collection, GError **error)
{
    g_autoptr(Connection) reader = database_reader(collection->storage->catalogue, error);
    if (reader == NULL || !database_hold(reader, error)) {
        return FALSE;
    }
    if (!eviction_choose(collection, reader, error)) {
        return FALSE;
    }
    g_autoptr(GHashTable) gone = survey_gone(collection, reader, error);
    return gone != NULL && sweep_count(reader, gone, collection->report, error);
}

/* So that a dry run says what would go now. Where they can't be written, as on a full disk, one that asks what would go
 * has its answer all the same. */
static void flush_pulls(Collection *collection)
{
    g_autoptr(GError) problem = NULL;
    if (!pulls_flush(collection->storage, &problem)) {
        collection_tell(collection, "the pulls of the last minutes do not count: %s", problem->message);
    }
}

static gboolean sweep_goes_on(gpointer user, GError **error)
{
    return collection_goes_on(user, error);
}

/* One at a time, of all processes that have the folder. */
static IngotLock *take_turn(Storage *storage, GError **error)
{
    g_autofree char *path = g_build_filename(storage->path, ".collecting", NULL);
    GError *problem = NULL;
    IngotLock *lock = ingot_lock_take(path, TRUE, FALSE, &problem);
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_EXISTS)) {
        g_clear_error(&problem);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "garbage is being collected already");
    } else if (lock == NULL) {
        g_propagate_error(error, problem);
    }
    return lock;
}

/* What stands in its way stops no collection: the log stays as it is. */
static void condense_log(Collection *collection)
{
    gboolean done;
    g_autoptr(GError) problem = NULL;
    if (!condense_when_due(collection->storage, &done, &problem)) {
        g_warning("%s", problem->message);
        collection_tell(collection, "%s", problem->message);
    } else if (done) {
        collection_tell(collection, "the log of events begins anew with a checkpoint");
    }
}

/* What earlier collections had to leave. */
static gboolean collect_held(Collection *collection, GError **error)
{
    return sweep_marked(collection->storage, sweep_goes_on, collection, collection->report, error) &&
           compact_packs(collection, error);
}

static gboolean collect_all(Collection *collection, GError **error)
{
    Storage *storage = collection->storage;
    uploads_sweep(storage);
    if (!pulls_flush(storage, error) || !make_room(collection, error) || !survey_release(collection, error)) {
        return FALSE;
    }
    readers_secure_gone(storage);
    if (!sweep_pieces(storage, sweep_goes_on, collection, collection->report, error) ||
        !compact_packs(collection, error)) {
        return FALSE;
    }
    condense_log(collection);
    return TRUE;
}

gboolean storage_collect(Storage *storage, const CollectOptions *options, CollectReport *report, GError **error)
{
    Collection collection = {.storage = storage, .options = options, .report = report};
    memset(report, 0, sizeof *report);
    if (options->dry_run) {
        flush_pulls(&collection);
        gboolean counted = dry_run(&collection, error);
        g_clear_pointer(&collection.evicted, g_hash_table_unref);
        return counted;
    }
    g_autoptr(IngotLock) turn = take_turn(storage, error);
    if (turn == NULL || !packcheck(storage, error)) {
        return FALSE;
    }
    reserve_release(storage->path);
    gboolean ok = options->packs_only  ? compact_packs(&collection, error)
                  : options->held_only ? collect_held(&collection, error)
                                       : collect_all(&collection, error);
    g_clear_pointer(&collection.evicted, g_hash_table_unref);
    reserve_make(storage->path);
    return ok;
}
