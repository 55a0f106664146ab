#include "server/boxes/watcher.h"

#include <gio/gio.h>

#include "base/crew.h"

#define BETWEEN (G_TIME_SPAN_SECOND / 2)

struct Watcher {
    gboolean (*goes_on)(gpointer user, GError **error);
    gpointer user;
    GCancellable *cancellable; /* the thread's */
    GMutex lock;
    GCond ended;
    gboolean ends;
    GThread *thread;
};

static gpointer watch(gpointer data)
{
    Watcher *watcher = data;
    g_mutex_lock(&watcher->lock);
    while (!watcher->ends) {
        g_cond_wait_until(&watcher->ended, &watcher->lock, g_get_monotonic_time() + BETWEEN);
        if (!watcher->ends && !watcher->goes_on(watcher->user, NULL)) {
            g_cancellable_cancel(watcher->cancellable);
        }
    }
    g_mutex_unlock(&watcher->lock);
    return NULL;
}

Watcher *watcher_start(gboolean (*goes_on)(gpointer user, GError **error), gpointer user, GError **error)
{
    Watcher *watcher = g_new0(Watcher, 1);
    watcher->goes_on = goes_on;
    watcher->user = user;
    watcher->cancellable = g_cancellable_new();
    g_mutex_init(&watcher->lock);
    g_cond_init(&watcher->ended);
    g_cancellable_push_current(watcher->cancellable);
    watcher->thread = crew_thread("watcher", watch, watcher, error);
    if (watcher->thread == NULL) {
        watcher_end(watcher);
        return NULL;
    }
    return watcher;
}

void watcher_end(Watcher *watcher)
{
    g_mutex_lock(&watcher->lock);
    watcher->ends = TRUE;
    g_cond_signal(&watcher->ended);
    g_mutex_unlock(&watcher->lock);
    if (watcher->thread != NULL) {
        g_thread_join(watcher->thread);
    }
    g_cancellable_pop_current(watcher->cancellable);
    g_object_unref(watcher->cancellable);
    g_mutex_clear(&watcher->lock);
    g_cond_clear(&watcher->ended);
    g_free(watcher);
}
