#include "server/http/body.h"

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
