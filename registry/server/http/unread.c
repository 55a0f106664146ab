#include "server/http/unread.h"

struct Unread {
    guint64 network;
    GBytes *bytes;
};

typedef struct {
    gsize size;
    GHashTable *answers; /* GBytes -> how many have it */
} Holder;

static GMutex lock;
static Holder all;
static GHashTable *networks; /* network -> Holder; NULL: none yet */

static void holder_free(gpointer data)
{
    Holder *holder = data;
    g_hash_table_unref(holder->answers);
    g_free(holder);
}

static gboolean holder_has(const Holder *holder, GBytes *bytes)
{
    return holder->answers != NULL && g_hash_table_contains(holder->answers, bytes);
}

static void holder_add(Holder *holder, GBytes *bytes)
{
    holder->answers = holder->answers == NULL ? g_hash_table_new(NULL, NULL) : holder->answers;
    guint count = GPOINTER_TO_UINT(g_hash_table_lookup(holder->answers, bytes));
    holder->size += count > 0 ? 0 : g_bytes_get_size(bytes);
    g_hash_table_insert(holder->answers, bytes, GUINT_TO_POINTER(count + 1));
}

static void holder_remove(Holder *holder, GBytes *bytes)
{
    guint count = GPOINTER_TO_UINT(g_hash_table_lookup(holder->answers, bytes));
    if (count > 1) {
        g_hash_table_insert(holder->answers, bytes, GUINT_TO_POINTER(count - 1));
    } else {
        g_hash_table_remove(holder->answers, bytes);
        holder->size -= g_bytes_get_size(bytes);
    }
}

static Holder *network_find(guint64 network)
{
    if (networks == NULL) {
        networks = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, holder_free);
    }
    return g_hash_table_lookup(networks, &network);
}

static gboolean has_room(guint64 network, GBytes *bytes)
{
    gsize size = g_bytes_get_size(bytes);
    const Holder *theirs = network_find(network);
    gsize has = theirs == NULL ? 0 : theirs->size;
    if (theirs != NULL && holder_has(theirs, bytes)) {
        return TRUE;
    }
    gsize others = all.size - has - (holder_has(&all, bytes) ? size : 0); /* what is shared counts once */
    return share_allows(UNREAD_MAX, others + has, network, has, size, theirs == NULL);
}

static void hold(guint64 network, GBytes *bytes)
{
    Holder *theirs = network_find(network);
    if (theirs == NULL) {
        theirs = g_new0(Holder, 1);
        g_hash_table_insert(networks, g_memdup2(&network, sizeof network), theirs);
    }
    holder_add(theirs, bytes);
    holder_add(&all, bytes);
}

static void let_go(guint64 network, GBytes *bytes)
{
    Holder *theirs = network_find(network);
    holder_remove(&all, bytes);
    holder_remove(theirs, bytes);
    if (g_hash_table_size(theirs->answers) == 0) {
        g_hash_table_remove(networks, &network);
    }
}

static gboolean counts(GBytes *bytes)
{
    return g_bytes_get_size(bytes) > UNREAD_SHORT;
}

Unread *unread_begin(guint64 network, GBytes *bytes)
{
    if (counts(bytes)) {
        g_mutex_lock(&lock);
        gboolean taken = has_room(network, bytes);
        if (taken) {
            hold(network, bytes);
        }
        g_mutex_unlock(&lock);
        if (!taken) {
            return NULL;
        }
    }
    Unread *unread = g_new(Unread, 1);
    *unread = (Unread){.network = network, .bytes = g_bytes_ref(bytes)};
    return unread;
}

void unread_end(gpointer data)
{
    Unread *unread = data;
    if (counts(unread->bytes)) {
        g_mutex_lock(&lock);
        let_go(unread->network, unread->bytes);
        g_mutex_unlock(&lock);
    }
    g_bytes_unref(unread->bytes);
    g_free(unread);
}
