#include "server/auth/fairqueue.h"

typedef struct {
    guint64 key;
    GQueue things; /* the oldest first; never empty */
} Party;

struct FairQueue {
    guint most, count;
    GQueue parties; /* whose turn is next comes first */
};

FairQueue *fairqueue_new(guint most)
{
    FairQueue *queue = g_new0(FairQueue, 1);
    queue->most = most;
    g_queue_init(&queue->parties);
    return queue;
}

void fairqueue_free(FairQueue *queue)
{
    g_assert(queue->count == 0);
    g_free(queue);
}

/* Its parties are no more than its things, which are few. */
static Party *party_find(const FairQueue *queue, guint64 key)
{
    for (GList *link = queue->parties.head; link != NULL; link = link->next) {
        Party *party = link->data;
        if (party->key == key) {
            return party;
        }
    }
    return NULL;
}

static Party *party_largest(const FairQueue *queue)
{
    Party *largest = NULL;
    for (GList *link = queue->parties.head; link != NULL; link = link->next) {
        Party *party = link->data;
        if (largest == NULL || party->things.length > largest->things.length) {
            largest = party;
        }
    }
    return largest;
}

/* One of its things has left. */
static void party_left(FairQueue *queue, Party *party)
{
    queue->count--;
    if (party->things.length == 0) {
        g_queue_remove(&queue->parties, party);
        g_free(party);
    }
}

gpointer fairqueue_push(FairQueue *queue, guint64 key, gpointer thing)
{
    Party *party = party_find(queue, key);
    if (party == NULL) {
        party = g_new0(Party, 1);
        party->key = key;
        g_queue_init(&party->things);
        g_queue_push_tail(&queue->parties, party);
    }
    g_queue_push_tail(&party->things, thing);
    if (++queue->count <= queue->most) {
        return NULL;
    }
    Party *largest = party_largest(queue);
    gpointer away = g_queue_pop_tail(&largest->things);
    party_left(queue, largest);
    return away;
}

gpointer fairqueue_take(FairQueue *queue, gboolean (*fits)(gpointer thing, gpointer user), gpointer user)
{
    for (GList *link = queue->parties.head; link != NULL; link = link->next) {
        Party *party = link->data;
        for (GList *one = party->things.head; one != NULL; one = one->next) {
            gpointer thing = one->data;
            if (fits(thing, user)) {
                g_queue_delete_link(&party->things, one);
                g_queue_unlink(&queue->parties, link);
                g_queue_push_tail_link(&queue->parties, link);
                party_left(queue, party);
                return thing;
            }
        }
    }
    return NULL;
}

static gboolean thing_is_any(gpointer thing, gpointer user)
{
    (void)thing, (void)user;
    return TRUE;
}

gpointer fairqueue_pop(FairQueue *queue)
{
    return fairqueue_take(queue, thing_is_any, NULL);
}
