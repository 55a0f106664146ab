#include "server/storage/atrest.h"

#include <ingot/error.h>

#include "server/storage/resume.h"
#include "server/storage/session.h"

#define OWN_SIZE ((gsize)96) /* bytes of memory, about, of an entry of Upload.own */

typedef struct {
    const Upload *but;
    guint64 network;
    gsize all, theirs; /* bytes of the others; of those the network's */
} Others;

/* Under uploads_lock. */
static void add_held(Upload *upload, Others *others)
{
    gsize held = upload == others->but ? 0 : (gsize)g_atomic_pointer_get(&upload->held);
    others->all += held;
    others->theirs += upload->network == others->network ? held : 0;
}

static Others sum_others(Storage *storage, const Upload *but, guint64 network)
{
    Others others = {.but = but, .network = network};
    GHashTableIter iterator;
    gpointer upload;
    g_hash_table_iter_init(&iterator, storage->uploads);
    while (g_hash_table_iter_next(&iterator, NULL, &upload)) {
        add_held(upload, &others);
    }
    return others;
}

gsize atrest_held(Storage *storage)
{
    g_mutex_lock(&storage->uploads_lock);
    Others others = sum_others(storage, NULL, 0);
    g_mutex_unlock(&storage->uploads_lock);
    return others.all;
}

/* One that was forgotten and found again meanwhile has not counted that request. */
void atrest_return(Upload *upload)
{
    gint busy;
    do {
        busy = g_atomic_int_get(&upload->busy);
    } while (busy > 0 && !g_atomic_int_compare_and_exchange(&upload->busy, busy, busy - 1));
}

void atrest_settle(Upload *upload)
{
    if (g_atomic_int_get(&upload->busy) > 0 || upload->ended) {
        return;
    }
    upload_close(upload);
    gsize weight = upload->offer != NULL
                       ? offer_memory(offer_count(upload->offer))
                       : upload->table->pieces->len * sizeof(Piece) + g_hash_table_size(upload->own) * OWN_SIZE;
    g_atomic_pointer_set(&upload->held, 0);
    g_atomic_pointer_set(&upload->weight, upload->ready && !upload->brief ? weight : 0);
}

static void atrest_add(Upload *upload, gpointer sum)
{
    *(gsize *)sum += (gsize)g_atomic_pointer_get(&upload->weight);
}

gsize atrest_memory(Storage *storage)
{
    gsize sum = 0;
    session_each(storage, atrest_add, &sum);
    return sum;
}

typedef struct {
    GPtrArray *seen; /* of Upload, each with a reference */
    Upload *largest; /* of those that are not among them; with a reference, NULL: none */
} Search;

static void atrest_compare(Upload *upload, gpointer user)
{
    Search *search = user;
    gsize weight = (gsize)g_atomic_pointer_get(&upload->weight);
    if (weight > 0 && !g_ptr_array_find(search->seen, upload, NULL) &&
        (search->largest == NULL || weight > (gsize)g_atomic_pointer_get(&search->largest->weight))) {
        g_atomic_ref_count_inc(&upload->references);
        upload_unref(search->largest);
        search->largest = upload;
    }
}

/* One that somebody works on by now is at rest no more. One that can't be kept stays: it is known nowhere else. */
static void atrest_forget(Upload *upload)
{
    if (!session_try(upload)) {
        return;
    }
    if (g_atomic_int_get(&upload->busy) == 0 && upload_keep(upload, NULL)) {
        upload_reset(upload);
    }
    upload_close(upload);
    session_leave(upload);
}

static gsize atrest_most(Storage *storage)
{
    gsize held = atrest_held(storage);
    return MIN(ATREST_MOST, held < ATREST_OFFERS ? ATREST_OFFERS - held : 0);
}

void atrest_bound(Storage *storage)
{
    g_autoptr(GPtrArray) seen = g_ptr_array_new_with_free_func(upload_unref);
    while (atrest_memory(storage) > atrest_most(storage)) {
        Search search = {.seen = seen};
        session_each(storage, atrest_compare, &search);
        if (search.largest == NULL) {
            return;
        }
        g_ptr_array_add(seen, search.largest);
        atrest_forget(search.largest);
    }
}

gboolean atrest_hold(Upload *upload, guint frames, GError **error)
{
    Storage *storage = upload->storage;
    gsize memory = offer_memory(frames);
    g_mutex_lock(&storage->uploads_lock);
    Others others = sum_others(storage, upload, upload->network);
    gboolean ok = memory == 0 || upload->brief ||
                  share_allows(ATREST_OFFERS, others.all, upload->network, others.theirs, memory, TRUE);
    if (ok) {
        g_atomic_pointer_set(&upload->held, memory);
        g_atomic_pointer_set(&upload->weight, 0);
    }
    g_mutex_unlock(&storage->uploads_lock);
    if (!ok) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED, "too many frames are being pushed at once: try again");
        return FALSE;
    }
    atrest_bound(storage);
    return TRUE;
}

gboolean atrest_leave(Upload *upload, GError **error)
{
    if (!atrest_hold(upload, upload->offer == NULL ? 0 : offer_count(upload->offer), error)) {
        return FALSE;
    }
    g_atomic_int_inc(&upload->busy);
    g_atomic_pointer_set(&upload->weight, 0);
    return TRUE;
}
