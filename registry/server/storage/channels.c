#include "server/storage/channels.h"

#include "server/storage/inside.h"

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

void storage_use_pipelines(Storage *storage, GPtrArray *pipelines)
{
    g_mutex_lock(&storage->pipelines_lock);
    GPtrArray *old = storage->pipelines;
    storage->pipelines = g_ptr_array_ref(pipelines);
    g_mutex_unlock(&storage->pipelines_lock);
    g_ptr_array_unref(old);
}
