#include "server/storage/atrest.h"

#include "server/storage/session.h"

#define OWN_SIZE ((gsize)96) /* bytes of memory, about, of an entry of Upload.own */

void atrest_leave(Upload *upload)
{
    g_atomic_int_inc(&upload->busy);
    g_atomic_pointer_set(&upload->weight, 0);
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
    gsize weight = upload->table->pieces->len * sizeof(Piece) + g_hash_table_size(upload->own) * OWN_SIZE +
                   (upload->offer == NULL ? 0 : offer_memory(upload->offer));
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

static void atrest_compare(Upload *upload, gpointer user)
{
    Upload **largest = user;
    gsize weight = (gsize)g_atomic_pointer_get(&upload->weight);
    if (weight > 0 && (*largest == NULL || weight > (gsize)g_atomic_pointer_get(&(*largest)->weight))) {
        g_atomic_ref_count_inc(&upload->references);
        upload_unref(*largest);
        *largest = upload;
    }
}

/* One that somebody works on by now is at rest no more. What was not kept stays: it is known nowhere else. */
static void atrest_forget(Upload *upload)
{
    g_atomic_pointer_set(&upload->weight, 0);
    if (!g_mutex_trylock(&upload->lock)) {
        return;
    }
    if (g_atomic_int_get(&upload->busy) == 0 && !g_atomic_int_get(&upload->summing) && !upload->ended &&
        upload->ready && !upload->changed) {
        upload_reset(upload);
        upload_close(upload);
    }
    g_mutex_unlock(&upload->lock);
}

void atrest_bound(Storage *storage)
{
    while (atrest_memory(storage) > ATREST_MOST) {
        g_autoptr(Upload) largest = NULL;
        session_each(storage, atrest_compare, &largest);
        if (largest == NULL) {
            return;
        }
        atrest_forget(largest);
    }
}
