#include "server/http/unread.h"

struct Unread {
    guint64 network;
    GBytes *bytes; /* NULL: there are none yet */
    gsize size;
};

/* What tells answers with the same bytes: those, or the place that is kept for some. */
static gconstpointer unread_key(const Unread *unread)
{
    return unread->bytes == NULL ? (gconstpointer)unread : unread->bytes;
}

typedef struct {
    gsize size;
    GHashTable *answers; /* unread_key -> how many have it */
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

static gboolean holder_has(const Holder *holder, const Unread *unread)
{
    return holder->answers != NULL && g_hash_table_contains(holder->answers, unread_key(unread));
}

static void holder_add(Holder *holder, const Unread *unread)
{
    gpointer key = (gpointer)unread_key(unread);
    holder->answers = holder->answers == NULL ? g_hash_table_new(NULL, NULL) : holder->answers;
    guint count = GPOINTER_TO_UINT(g_hash_table_lookup(holder->answers, key));
    holder->size += count > 0 ? 0 : unread->size;
    g_hash_table_insert(holder->answers, key, GUINT_TO_POINTER(count + 1));
}

static void holder_remove(Holder *holder, const Unread *unread)
{
    gpointer key = (gpointer)unread_key(unread);
    guint count = GPOINTER_TO_UINT(g_hash_table_lookup(holder->answers, key));
    if (count > 1) {
        g_hash_table_insert(holder->answers, key, GUINT_TO_POINTER(count - 1));
    } else {
        g_hash_table_remove(holder->answers, key);
        holder->size -= unread->size;
    }
}

static Holder *network_find(guint64 network)
{
    if (networks == NULL) {
        networks = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, holder_free);
    }
    return g_hash_table_lookup(networks, &network);
}

static gboolean has_room(const Unread *unread)
{
    const Holder *theirs = network_find(unread->network);
    gsize has = theirs == NULL ? 0 : theirs->size;
    if (theirs != NULL && holder_has(theirs, unread)) {
        return TRUE;
    }
    gsize others = all.size - has - (holder_has(&all, unread) ? unread->size : 0); /* what is shared counts once */
    return share_allows(UNREAD_MAX, others + has, unread->network, has, unread->size, theirs == NULL);
}

static void hold(const Unread *unread)
{
    Holder *theirs = network_find(unread->network);
    if (theirs == NULL) {
        theirs = g_new0(Holder, 1);
        g_hash_table_insert(networks, g_memdup2(&unread->network, sizeof unread->network), theirs);
    }
    holder_add(theirs, unread);
    holder_add(&all, unread);
}

static void let_go(const Unread *unread)
{
    Holder *theirs = network_find(unread->network);
    holder_remove(&all, unread);
    holder_remove(theirs, unread);
    if (g_hash_table_size(theirs->answers) == 0) {
        g_hash_table_remove(networks, &unread->network);
    }
}

/* Takes the reference to the bytes. */
static Unread *unread_new(guint64 network, GBytes *bytes, gsize size)
{
    Unread *unread = g_new(Unread, 1);
    gboolean taken = TRUE;
    *unread = (Unread){.network = network, .bytes = bytes, .size = size};
    if (size > UNREAD_SHORT) {
        g_mutex_lock(&lock);
        taken = has_room(unread);
        if (taken) {
            hold(unread);
        }
        g_mutex_unlock(&lock);
    }
    if (!taken) {
        g_clear_pointer(&unread->bytes, g_bytes_unref);
        g_clear_pointer(&unread, g_free);
    }
    return unread;
}

Unread *unread_begin(guint64 network, GBytes *bytes)
{
    return unread_new(network, g_bytes_ref(bytes), g_bytes_get_size(bytes));
}

Unread *unread_reserve(guint64 network, gsize size)
{
    return unread_new(network, NULL, size);
}

void unread_end(gpointer data)
{
    Unread *unread = data;
    if (unread->size > UNREAD_SHORT) {
        g_mutex_lock(&lock);
        let_go(unread);
        g_mutex_unlock(&lock);
    }
    g_clear_pointer(&unread->bytes, g_bytes_unref);
    g_free(unread);
}
