#include "server/storage/channels.h"

#include "server/catalogue/counters.h"
#include "server/catalogue/recordrows.h"
#include "server/storage/inside.h"

#define PIPELINE_RECORD "pipeline"

/* Whether those in memory are the catalogue's: this process alone puts some, or nothing was committed since; and all
 * that it has put were read. */
static gboolean pipelines_are_known(Storage *storage)
{
    guint64 sequence = storage->shared ? database_sequence(storage->catalogue) : 0;
    g_mutex_lock(&storage->pipelines_lock);
    gboolean known = storage->pipelines_read == storage->pipelines_put &&
                     (!storage->shared || storage->pipelines_sequence == sequence);
    g_mutex_unlock(&storage->pipelines_lock);
    return known;
}

/* Those in memory are not the catalogue's until they are read, should that fail now. */
static void pipelines_were_put(Storage *storage)
{
    g_mutex_lock(&storage->pipelines_lock);
    storage->pipelines_put++;
    g_mutex_unlock(&storage->pipelines_lock);
}

/* By memory. */
static Pipeline *pipeline_of(Storage *storage, const char *name)
{
    g_mutex_lock(&storage->pipelines_lock);
    Pipeline *found = pipelines_find(storage->pipelines, name);
    found = pipeline_ref(found == NULL ? storage->usual_pipeline : found);
    g_mutex_unlock(&storage->pipelines_lock);
    return found;
}

/* Where the catalogue can't be read, nothing is moved (change_begin), and the rest goes by what was known. */
static void pipelines_look(Storage *storage)
{
    g_autoptr(GError) problem = NULL;
    if (!storage_refresh_pipelines(storage, &problem)) {
        g_warning("the pipelines stay as they were: %s", problem->message);
    }
}

Pipeline *storage_pipeline(Storage *storage, const char *name)
{
    pipelines_look(storage);
    return pipeline_of(storage, name);
}

Pipeline *storage_recall_pipeline(Storage *storage, const char *name)
{
    return pipelines_are_known(storage) ? pipeline_of(storage, name) : NULL;
}

gboolean storage_is_channel(Storage *storage, const char *name, const char *tag)
{
    g_autoptr(Pipeline) pipeline = storage_pipeline(storage, name);
    return pipeline_channel(pipeline, tag) != NULL;
}

gboolean storage_is_guarded(Storage *storage, const char *name, const char *tag)
{
    g_autoptr(Pipeline) pipeline = storage_pipeline(storage, name);
    return pipeline_guards(pipeline, tag);
}

gboolean storage_may_remove_channels(Storage *storage, const char *name)
{
    g_autoptr(Pipeline) pipeline = storage_pipeline(storage, name);
    return pipeline->pattern == NULL;
}

GPtrArray *storage_pipelines(Storage *storage)
{
    pipelines_look(storage);
    g_mutex_lock(&storage->pipelines_lock);
    GPtrArray *pipelines = g_ptr_array_ref(storage->pipelines);
    g_mutex_unlock(&storage->pipelines_lock);
    return pipelines;
}

static gboolean pipeline_collect(const RecordRow *row, gpointer user)
{
    g_ptr_array_add(user, pipeline_new(row->name, row->body));
    return TRUE;
}

/* Those that the catalogue has now. */
static GPtrArray *read_pipelines(Connection *connection, GError **error)
{
    g_autoptr(GPtrArray) pipelines = g_ptr_array_new_with_free_func((GDestroyNotify)pipeline_unref);
    return record_rows_each(connection, PIPELINE_RECORD, NULL, NULL, pipeline_collect, pipelines, error)
               ? g_steal_pointer(&pipelines)
               : NULL;
}

/* NULL: they stay. *changes: the catalogue's number. */
static GPtrArray *read_changed(Storage *storage, gint64 *changes, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    if (reader == NULL || !database_hold(reader, error) || !counters_pipelines(reader, changes, error) ||
        *changes == storage->pipelines_changes) {
        return NULL;
    }
    return read_pipelines(reader, error);
}

gboolean storage_load_pipelines(Storage *storage, GError **error)
{
    gint64 changes;
    GError *problem = NULL;
    /* Whoever reads later uses later. */
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&storage->pipelines_load);
    guint64 sequence = database_sequence(storage->catalogue); /* before they are read, as the next */
    g_mutex_lock(&storage->pipelines_lock);
    guint put = storage->pipelines_put;
    g_mutex_unlock(&storage->pipelines_lock);
    g_autoptr(GPtrArray) pipelines = read_changed(storage, &changes, &problem);
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_mutex_lock(&storage->pipelines_lock);
    if (pipelines != NULL) {
        GPtrArray *old = storage->pipelines;
        storage->pipelines = g_steal_pointer(&pipelines);
        pipelines = old;
        storage->pipelines_changes = changes;
    }
    storage->pipelines_sequence = sequence;
    storage->pipelines_read = put;
    g_mutex_unlock(&storage->pipelines_lock);
    (void)locker;
    return TRUE;
}

gboolean storage_refresh_pipelines(Storage *storage, GError **error)
{
    return pipelines_are_known(storage) || storage_load_pipelines(storage, error);
}

static gboolean put_pipelines(Change *change, const GPtrArray *pipelines, GError **error)
{
    gboolean ok = TRUE;
    for (guint i = 0; ok && i < pipelines->len; i++) {
        const Pipeline *one = g_ptr_array_index(pipelines, i);
        ok = record_put(change, PIPELINE_RECORD, one->pattern, "", one->channels->len == 0 ? NULL : one->body, error);
    }
    return ok;
}

gboolean storage_change_pipelines(Storage *storage, const StorageActor *actor, PipelinesFunc func, gpointer user,
                                  GError **error)
{
    Change change;
    if (!change_begin(storage, &change, error)) {
        return FALSE;
    }
    change.actor = actor;
    g_autoptr(GPtrArray) now = read_pipelines(change.writer, error);
    g_autoptr(GPtrArray) wanted = now == NULL ? NULL : func(now, user, error);
    gboolean ok = wanted != NULL && put_pipelines(&change, wanted, error);
    ok = change_end(&change, ok, error);
    pipelines_were_put(storage); /* which may be so after an error as well */
    return ok && storage_load_pipelines(storage, error);
}
