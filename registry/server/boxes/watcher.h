/* A watcher: asks now and then whether the work of a thread is still wanted, and interrupts it (base/process.h) when it
 * is not, whatever that waits for. */
#pragma once

#include <glib.h>

typedef struct Watcher Watcher;
/* Of the calling thread's work, until watcher_end, which that calls too. goes_on: asked by another thread. */
Watcher *watcher_start(gboolean (*goes_on)(gpointer user, GError **error), gpointer user, GError **error);
void watcher_end(Watcher *watcher);
