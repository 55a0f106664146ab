/* Pools of threads that do what an event loop must not wait for.
 *
 * Each pool has a bound on what waits for a thread: past it a task is refused, and its client told to come again.
 * Tasks of one strand (a text; those of one upload, say) run one after another in the order in which they came, and
 * one that waits for its turn holds no thread: however many ask for the same slow thing, others are served. A strand
 * has a bound of its own, so that one does not take all the room to wait. Thread safe. */
#pragma once

#include <glib.h>

#define WORK_STRAND_MAX 64 /* tasks of one strand that wait for their turn */

typedef struct WorkPool WorkPool;
typedef void (*WorkTask)(gpointer data);

/* NULL: the system does not give it its threads. */
WorkPool *work_pool_new(const char *name, guint threads, guint most_waiting, GError **error);
/* Hands over a task; strand: NULL for none. FALSE: too many wait, or the pool has stopped: the task is still yours. */
gboolean work_pool_push(WorkPool *pool, const char *strand, WorkTask task, gpointer data);
/* The same without the bound. FALSE: the pool has stopped. */
gboolean work_pool_push_always(WorkPool *pool, const char *strand, WorkTask task, gpointer data);
/* The same after a time (microseconds), for which the task holds no thread; the earlier of those when the pool stops.
 */
gboolean work_pool_push_later(WorkPool *pool, WorkTask task, gpointer data, gint64 delay);
/* Tasks that wait for a thread or for their turn (not for a time), and those refused since the start. */
guint work_pool_waiting(WorkPool *pool);
guint64 work_pool_refused(WorkPool *pool);
/* Takes no more, and returns when all that were taken have run. */
void work_pool_stop(WorkPool *pool);
/* Stops it first. NULL is none. */
void work_pool_free(WorkPool *pool);
