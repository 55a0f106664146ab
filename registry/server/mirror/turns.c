#include "server/mirror/turns.h"

/* So many in line share a turn that is free: the first of them may not ask for half a second. */
#define EAGER 8u

struct Turns {
    GQueue line; /* of readers */
    guint running;
};

static GMutex lock;
static guint all; /* that run, of all upstreams */

Turns *turns_new(void)
{
    Turns *turns = g_new0(Turns, 1);
    g_queue_init(&turns->line);
    return turns;
}

void turns_free(Turns *turns)
{
    g_queue_clear(&turns->line);
    g_free(turns);
}

static guint turns_free_now(const Turns *turns)
{
    guint left = TURNS_MOST - all;
    return turns->running >= 2 * left ? 0 : MIN(left, 2 * left - turns->running);
}

gboolean turns_begin(Turns *turns, gpointer reader)
{
    g_mutex_lock(&lock);
    gint at = g_queue_index(&turns->line, reader);
    if (at < 0) {
        at = (gint)turns->line.length;
        g_queue_push_tail(&turns->line, reader);
    }
    gboolean begins = (guint)at < EAGER * turns_free_now(turns);
    if (begins) {
        g_queue_remove(&turns->line, reader);
        turns->running++;
        all++;
    }
    g_mutex_unlock(&lock);
    return begins;
}

void turns_end(Turns *turns)
{
    g_mutex_lock(&lock);
    turns->running--;
    all--;
    g_mutex_unlock(&lock);
}

void turns_leave(Turns *turns, gpointer reader)
{
    g_mutex_lock(&lock);
    g_queue_remove(&turns->line, reader);
    g_mutex_unlock(&lock);
}
