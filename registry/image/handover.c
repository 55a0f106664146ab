#include "image/handover.h"

struct Handover {
    IngotDiskTake take;
    gpointer user;
    guint most;       /* batches */
    gsize batch_size; /* bytes */
    GMutex lock;
    GCond emptied;
    GPtrArray *batches; /* of Batch: all of them */
    GPtrArray *empty;   /* the one that was used last is at the end: the processor has it in its cache */
    GQueue brought;     /* that nobody has handed on yet */
    gboolean busy;      /* a thread hands on */
    gboolean failed;
};

static void batch_free(gpointer data)
{
    Batch *batch = data;
    g_free(batch->data);
    g_free(batch);
}

Handover *handover_new(IngotDiskTake take, gpointer user, guint batches, gsize batch_size)
{
    Handover *handover = g_new0(Handover, 1);
    handover->take = take;
    handover->user = user;
    handover->most = batches;
    handover->batch_size = batch_size;
    handover->batches = g_ptr_array_new_with_free_func(batch_free);
    handover->empty = g_ptr_array_new();
    g_queue_init(&handover->brought);
    g_mutex_init(&handover->lock);
    g_cond_init(&handover->emptied);
    return handover;
}

void handover_free(Handover *handover)
{
    g_queue_clear(&handover->brought);
    g_ptr_array_unref(handover->empty);
    g_ptr_array_unref(handover->batches);
    g_cond_clear(&handover->emptied);
    g_mutex_clear(&handover->lock);
    g_free(handover);
}

static Batch *batch_new(Handover *handover)
{
    Batch *batch = g_new0(Batch, 1);
    batch->data = g_malloc(handover->batch_size);
    g_ptr_array_add(handover->batches, batch);
    return batch;
}

Batch *handover_empty(Handover *handover)
{
    g_mutex_lock(&handover->lock);
    while (handover->empty->len == 0 && handover->batches->len == handover->most) {
        g_cond_wait(&handover->emptied, &handover->lock);
    }
    Batch *batch = handover->empty->len == 0 ? batch_new(handover)
                                             : g_ptr_array_steal_index(handover->empty, handover->empty->len - 1);
    g_mutex_unlock(&handover->lock);
    return batch;
}

static void put_back(Handover *handover, Batch *batch)
{
    batch->size = 0;
    g_ptr_array_add(handover->empty, batch);
    g_cond_signal(&handover->emptied);
}

/* With the lock, which it gives away meanwhile. After a failure the batches are only emptied. */
static gboolean hand_on(Handover *handover, Batch *batch, GError **error)
{
    gboolean ok = TRUE;
    if (handover->take != NULL && !handover->failed) {
        g_mutex_unlock(&handover->lock);
        ok = handover->take(batch->offset, batch->data, batch->size, handover->user, error);
        g_mutex_lock(&handover->lock);
    }
    handover->failed = handover->failed || !ok;
    put_back(handover, batch);
    return ok;
}

/* With the lock: all that were brought until then, by whomever. */
static gboolean hand_on_all(Handover *handover, GError **error)
{
    gboolean ok = TRUE;
    handover->busy = TRUE;
    for (Batch *batch; (batch = g_queue_pop_head(&handover->brought)) != NULL;) {
        ok = hand_on(handover, batch, ok ? error : NULL) && ok;
    }
    handover->busy = FALSE;
    return ok;
}

gboolean handover_bring(Handover *handover, Batch *batch, GError **error)
{
    g_mutex_lock(&handover->lock);
    g_queue_push_tail(&handover->brought, batch);
    gboolean ok = handover->busy || hand_on_all(handover, error);
    g_mutex_unlock(&handover->lock);
    return ok;
}
