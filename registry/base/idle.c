#include "base/idle.h"

static GList *find(const Idle *idle, IdleFits fits, gconstpointer wanted)
{
    GList *link = fits == NULL ? idle->things.tail : idle->things.head;
    while (link != NULL && fits != NULL && !fits(link->data, wanted)) {
        link = link->next;
    }
    return link;
}

gpointer idle_take(Idle *idle, IdleFits fits, gconstpointer wanted)
{
    g_mutex_lock(&idle->lock);
    GList *link = find(idle, fits, wanted);
    gpointer thing = link == NULL ? NULL : link->data;
    if (link != NULL) {
        g_queue_delete_link(&idle->things, link);
    }
    g_mutex_unlock(&idle->lock);
    return thing;
}

void idle_give(Idle *idle, gpointer thing)
{
    g_mutex_lock(&idle->lock);
    g_queue_push_head(&idle->things, thing);
    gpointer over = idle->things.length > IDLE_MAX ? g_queue_pop_tail(&idle->things) : NULL;
    g_mutex_unlock(&idle->lock);
    if (over != NULL) {
        idle->free(over);
    }
}

void idle_clear(Idle *idle)
{
    g_queue_clear_full(&idle->things, idle->free);
    g_mutex_clear(&idle->lock);
}
