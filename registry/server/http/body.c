#include "server/http/body.h"

#include <fcntl.h>

Body *body_new(const BodyKind *kind, gpointer source, guint64 size)
{
    Body *body = g_new0(Body, 1);
    g_atomic_ref_count_init(&body->references);
    body->kind = kind;
    body->source = source;
    body->size = size;
    return body;
}

Body *body_ref(Body *body)
{
    g_atomic_ref_count_inc(&body->references);
    return body;
}

void body_unref(Body *body)
{
    if (body != NULL && g_atomic_ref_count_dec(&body->references)) {
        body->kind->unref(body->source);
        g_free(body);
    }
}

static gssize read_blob(gpointer source, guint64 offset, void *buffer, gsize size, GError **error)
{
    return storage_blob_read(source, offset, buffer, size, error);
}

static gboolean run_of_blob(gpointer source, guint64 offset, guint64 length, int *fd, guint64 *at)
{
    int pack;
    return storage_blob_run(source, offset, length, &pack, at) && (*fd = fcntl(pack, F_DUPFD_CLOEXEC, 0)) >= 0;
}

static void unref_blob(gpointer source)
{
    storage_blob_unref(source);
}

Body *body_of_blob(StorageBlob *blob)
{
    static const BodyKind kind = {read_blob, run_of_blob, unref_blob};
    return body_new(&kind, blob, storage_blob_size(blob));
}
