#include "server/storage/channels.h"

#include "server/storage/inside.h"
#include "server/storage/records.h"

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
    return pipeline->pattern != NULL && pipeline_channel(pipeline, tag) != NULL;
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

gboolean storage_load_pipelines(Storage *storage, GError **error)
{
    /* Whoever reads later uses later. */
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&storage->pipelines_load);
    g_autoptr(GPtrArray) records = storage_records(storage, "pipeline", NULL, error);
    g_autoptr(GPtrArray) pipelines = g_ptr_array_new_with_free_func((GDestroyNotify)pipeline_unref);
    for (guint i = 0; records != NULL && i < records->len; i++) {
        const StorageRecord *record = g_ptr_array_index(records, i);
        g_ptr_array_add(pipelines, pipeline_new(record->name, record->body));
    }
    if (records != NULL) {
        use_pipelines(storage, pipelines);
    }
    (void)locker;
    return records != NULL;
}

gboolean storage_put_pipelines(Storage *storage, const StorageActor *actor, const GPtrArray *pipelines, GError **error)
{
    Change change;
    if (!change_begin(storage, &change, error)) {
        return FALSE;
    }
    change.actor = actor;
    gboolean ok = TRUE;
    for (guint i = 0; ok && i < pipelines->len; i++) {
        const Pipeline *one = g_ptr_array_index(pipelines, i);
        ok = record_put(&change, "pipeline", one->pattern, "", one->channels->len == 0 ? NULL : one->body, error);
    }
    return change_end(&change, ok, error) && storage_load_pipelines(storage, error);
}
