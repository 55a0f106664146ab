#include "server/storage/channels.h"

#include "server/catalogue/recordrows.h"
#include "server/storage/inside.h"

#define PIPELINE_RECORD "pipeline"

Pipeline *storage_pipeline(Storage *storage, const char *name)
{
    g_mutex_lock(&storage->pipelines_lock);
    Pipeline *found = pipelines_find(storage->pipelines, name);
    found = pipeline_ref(found == NULL ? storage->usual_pipeline : found);
    g_mutex_unlock(&storage->pipelines_lock);
    return found;
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
    g_mutex_lock(&storage->pipelines_lock);
    GPtrArray *pipelines = g_ptr_array_ref(storage->pipelines);
    g_mutex_unlock(&storage->pipelines_lock);
    return pipelines;
}

static void use_pipelines(Storage *storage, GPtrArray *pipelines)
{
    g_mutex_lock(&storage->pipelines_lock);
    GPtrArray *old = storage->pipelines;
    storage->pipelines = g_ptr_array_ref(pipelines);
    g_mutex_unlock(&storage->pipelines_lock);
    g_ptr_array_unref(old);
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

gboolean storage_load_pipelines(Storage *storage, GError **error)
{
    /* Whoever reads later uses later. */
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&storage->pipelines_load);
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    g_autoptr(GPtrArray) pipelines = reader == NULL ? NULL : read_pipelines(reader, error);
    if (pipelines != NULL) {
        use_pipelines(storage, pipelines);
    }
    (void)locker;
    return pipelines != NULL;
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
    return change_end(&change, ok, error) && storage_load_pipelines(storage, error);
}
