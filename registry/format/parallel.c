#include "format/parallel.h"

#include "base/process.h"

#include "base/crew.h"

#define THREADS_MAX 16u

typedef struct {
    const ParallelWork *work;
    gpointer user;
    guint64 count;
    GMutex lock;
    GCond turn;
    guint64 next; /* the first number that nobody has taken */
    guint64 done; /* the number whose turn it is to be done */
    GError *failure;
} Run;

static gboolean take(Run *run, guint64 *number)
{
    g_mutex_lock(&run->lock);
    gboolean more = run->failure == NULL && run->next < run->count;
    if (more) {
        *number = run->next++;
    }
    g_mutex_unlock(&run->lock);
    return more;
}

static void fail(Run *run, GError *failure)
{
    g_mutex_lock(&run->lock);
    if (run->failure == NULL) {
        run->failure = g_steal_pointer(&failure);
    }
    g_cond_broadcast(&run->turn);
    g_mutex_unlock(&run->lock);
    g_clear_error(&failure);
}

/* Whoever has a lower number is at work and waits for nobody above it, so each turn comes. */
static gboolean finish(Run *run, guint64 number, gpointer slot, GError **error)
{
    if (run->work->done == NULL) {
        return TRUE;
    }
    g_mutex_lock(&run->lock);
    while (run->failure == NULL && run->done != number) {
        g_cond_wait(&run->turn, &run->lock);
    }
    gboolean over = run->failure != NULL;
    g_mutex_unlock(&run->lock);
    if (over) {
        return TRUE;
    }
    gboolean ok = run->work->done(number, slot, run->user, error);
    g_mutex_lock(&run->lock);
    run->done++;
    g_cond_broadcast(&run->turn);
    g_mutex_unlock(&run->lock);
    return ok;
}

static gpointer run_thread(gpointer data)
{
    Run *run = data;
    g_autofree guint8 *slot = g_malloc(run->work->slot_size);
    for (guint64 number; take(run, &number);) {
        GError *failure = NULL;
        if (!ingot_interrupt_check(&failure) || !run->work->work(number, slot, run->user, &failure) ||
            !finish(run, number, slot, &failure)) {
            fail(run, failure);
        }
    }
    return NULL;
}

gboolean parallel_run(const ParallelWork *work, guint64 count, gpointer user, GError **error)
{
    Run run = {.work = work, .user = user, .count = count};
    guint threads = (guint)MIN(count, MIN(g_get_num_processors(), THREADS_MAX));
    g_mutex_init(&run.lock);
    g_cond_init(&run.turn);
    crew_run("parallel", threads, run_thread, &run);
    g_mutex_clear(&run.lock);
    g_cond_clear(&run.turn);
    if (run.failure != NULL) {
        g_propagate_error(error, run.failure);
        return FALSE;
    }
    return TRUE;
}
