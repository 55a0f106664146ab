#include "server/http/ahead.h"

static GMutex lock;
static gsize held;

gsize ahead_begin(gsize least, guint64 most, guint answers)
{
    gsize wanted = (gsize)MIN(MIN(most, AHEAD_ONE), AHEAD_MAX / MAX(answers, 1));
    g_mutex_lock(&lock);
    wanted = MIN(wanted, AHEAD_MAX - held);
    wanted = wanted > least ? wanted : 0;
    held += wanted;
    g_mutex_unlock(&lock);
    return wanted;
}

void ahead_end(gsize bytes)
{
    g_mutex_lock(&lock);
    held -= bytes;
    g_mutex_unlock(&lock);
}
