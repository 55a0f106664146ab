#include "server/http/pool.h"

#include "base/crew.h"

typedef struct {
    char *strand; /* NULL: none */
    WorkTask task;
    gpointer data;
    gint64 due; /* monotonic; when it may run: 0: at once */
} Work;

struct WorkPool {
    GMutex lock; /* of all that follows */
    GCond more;
    GQueue ready;     /* of Work that may run */
    GSequence *later; /* of Work, by due */
    gboolean watched; /* a thread waits for the first of them, by `clock` */
    GCond clock;
    GHashTable *strands; /* strand -> GQueue of Work that waits for the one that is ready or runs */
    guint waiting, most_waiting;
    guint64 refused;
    gboolean stopping;
    GPtrArray *threads;
};

static void work_free(Work *work)
{
    g_free(work->strand);
    g_free(work);
}

static void strand_free(gpointer data)
{
    g_queue_free(data);
}

/* Under the lock. */
static void pool_call(WorkPool *pool)
{
    g_cond_signal(&pool->more);
    g_cond_signal(&pool->clock);
}

/* Lets the next of the strand run. Under the lock. */
static void strand_go_on(WorkPool *pool, const Work *ended)
{
    GQueue *rest = ended->strand == NULL ? NULL : g_hash_table_lookup(pool->strands, ended->strand);
    Work *next = rest == NULL ? NULL : g_queue_pop_head(rest);
    if (next != NULL) {
        g_queue_push_tail(&pool->ready, next);
        pool_call(pool);
    } else if (rest != NULL) {
        g_hash_table_remove(pool->strands, ended->strand);
    }
}

static int by_due(gconstpointer a, gconstpointer b, gpointer user)
{
    (void)user;
    gint64 one = ((const Work *)a)->due, other = ((const Work *)b)->due;
    return one < other ? -1 : one > other;
}

/* Under the lock. NULL: none waits for a time. */
static Work *first_later(WorkPool *pool)
{
    return g_sequence_is_empty(pool->later) ? NULL : g_sequence_get(g_sequence_get_begin_iter(pool->later));
}

/* Lets those run whose time has come. Under the lock. */
static void pool_wake(WorkPool *pool)
{
    const gint64 now = g_get_monotonic_time();
    for (Work *first; (first = first_later(pool)) != NULL && (pool->stopping || first->due <= now);) {
        g_sequence_remove(g_sequence_get_begin_iter(pool->later));
        g_queue_push_tail(&pool->ready, first);
        pool->waiting++;
        g_cond_signal(&pool->more);
    }
}

/* Until there may be something to do: one thread looks at the clock for all. Under the lock. */
static void pool_rest(WorkPool *pool)
{
    const Work *first = pool->watched ? NULL : first_later(pool);
    if (first == NULL) {
        g_cond_wait(&pool->more, &pool->lock);
        return;
    }
    pool->watched = TRUE;
    g_cond_wait_until(&pool->clock, &pool->lock, first->due);
    pool->watched = FALSE;
    g_cond_signal(&pool->more); /* another one looks, where this one gets work */
}

static gpointer pool_work(gpointer user)
{
    WorkPool *pool = user;
    g_mutex_lock(&pool->lock);
    for (;;) {
        pool_wake(pool);
        Work *work = g_queue_pop_head(&pool->ready);
        if (work != NULL) {
            pool->waiting--;
            g_mutex_unlock(&pool->lock);
            work->task(work->data);
            g_mutex_lock(&pool->lock);
            strand_go_on(pool, work);
            work_free(work);
        } else if (pool->stopping && pool->waiting == 0) {
            break;
        } else {
            pool_rest(pool);
        }
    }
    g_cond_broadcast(&pool->more);
    g_mutex_unlock(&pool->lock);
    return NULL;
}

WorkPool *work_pool_new(const char *name, guint threads, guint most_waiting, GError **error)
{
    WorkPool *pool = g_new0(WorkPool, 1);
    g_mutex_init(&pool->lock);
    g_cond_init(&pool->more);
    g_cond_init(&pool->clock);
    g_queue_init(&pool->ready);
    pool->later = g_sequence_new(NULL);
    pool->strands = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, strand_free);
    pool->most_waiting = most_waiting;
    pool->threads = g_ptr_array_new();
    for (guint i = 0; i < threads; i++) {
        GThread *thread = crew_thread(name, pool_work, pool, error);
        if (thread == NULL) {
            work_pool_free(pool);
            return NULL;
        }
        g_ptr_array_add(pool->threads, thread);
    }
    return pool;
}

/* Under the lock. */
static void pool_take(WorkPool *pool, const char *strand, WorkTask task, gpointer data)
{
    Work *work = g_new(Work, 1);
    *work = (Work){.strand = g_strdup(strand), .task = task, .data = data};
    pool->waiting++;
    GQueue *before = strand == NULL ? NULL : g_hash_table_lookup(pool->strands, strand);
    if (before != NULL) {
        g_queue_push_tail(before, work);
        return;
    }
    if (strand != NULL) {
        g_hash_table_insert(pool->strands, g_strdup(strand), g_queue_new());
    }
    g_queue_push_tail(&pool->ready, work);
    pool_call(pool);
}

/* Under the lock. */
static guint strand_length(WorkPool *pool, const char *strand)
{
    GQueue *rest = strand == NULL ? NULL : g_hash_table_lookup(pool->strands, strand);
    return rest == NULL ? 0 : rest->length;
}

static gboolean pool_push(WorkPool *pool, const char *strand, WorkTask task, gpointer data, guint bound)
{
    g_mutex_lock(&pool->lock);
    gboolean taken = !pool->stopping && pool->waiting < bound &&
                     (bound == G_MAXUINT || strand_length(pool, strand) < WORK_STRAND_MAX);
    if (taken) {
        pool_take(pool, strand, task, data);
    } else {
        pool->refused++;
    }
    g_mutex_unlock(&pool->lock);
    return taken;
}

gboolean work_pool_push(WorkPool *pool, const char *strand, WorkTask task, gpointer data)
{
    return pool_push(pool, strand, task, data, pool->most_waiting);
}

gboolean work_pool_push_always(WorkPool *pool, const char *strand, WorkTask task, gpointer data)
{
    return pool_push(pool, strand, task, data, G_MAXUINT);
}

gboolean work_pool_push_later(WorkPool *pool, WorkTask task, gpointer data, gint64 delay)
{
    g_mutex_lock(&pool->lock);
    gboolean taken = !pool->stopping;
    if (taken) {
        Work *work = g_new(Work, 1);
        *work = (Work){.task = task, .data = data, .due = g_get_monotonic_time() + delay};
        g_sequence_insert_sorted(pool->later, work, by_due, NULL);
        pool_call(pool);
    }
    g_mutex_unlock(&pool->lock);
    return taken;
}

guint work_pool_waiting(WorkPool *pool)
{
    g_mutex_lock(&pool->lock);
    guint waiting = pool->waiting;
    g_mutex_unlock(&pool->lock);
    return waiting;
}

guint64 work_pool_refused(WorkPool *pool)
{
    g_mutex_lock(&pool->lock);
    guint64 refused = pool->refused;
    g_mutex_unlock(&pool->lock);
    return refused;
}

void work_pool_stop(WorkPool *pool)
{
    g_mutex_lock(&pool->lock);
    pool->stopping = TRUE;
    g_cond_broadcast(&pool->more);
    g_cond_broadcast(&pool->clock);
    g_mutex_unlock(&pool->lock);
    for (guint i = 0; i < pool->threads->len; i++) {
        g_thread_join(g_ptr_array_index(pool->threads, i));
    }
    g_ptr_array_set_size(pool->threads, 0);
}

void work_pool_free(WorkPool *pool)
{
    if (pool == NULL) {
        return;
    }
    work_pool_stop(pool);
    g_ptr_array_unref(pool->threads);
    g_sequence_free(pool->later);
    g_hash_table_unref(pool->strands);
    g_cond_clear(&pool->more);
    g_cond_clear(&pool->clock);
    g_mutex_clear(&pool->lock);
    g_free(pool);
}
