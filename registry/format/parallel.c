#include "format/parallel.h"

#include "base/crew.h"
#include "base/process.h"

#define THREADS_MAX 16u

typedef struct {
    guint64 number;
    guint8 *memory;
} Slot;

typedef struct {
    const ParallelWork *work;
    gpointer user;
    guint64 count;
    GMutex lock;
    GCond emptied; /* a slot is, or there is a failure */
    guint64 next;  /* the first number that nobody has taken */
    guint64 done;  /* the number whose turn it is to be done */
    guint slots;
    GPtrArray *all;   /* of Slot */
    GPtrArray *empty; /* of Slot: the one that was used last is at the end */
    Slot **worked;    /* those that wait for their turn, each at its number modulo slots */
    gboolean busy;    /* a thread does what has its turn */
    GError *failure;
} Run;

static void slot_free(gpointer data)
{
    Slot *slot = data;
    g_free(slot->memory);
    g_free(slot);
}

static Slot *slot_new(Run *run)
{
    Slot *slot = g_new0(Slot, 1);
    slot->memory = g_malloc(run->work->slot_size);
    g_ptr_array_add(run->all, slot);
    return slot;
}

/* The next number, in a slot; NULL: there is none. The lowest number that is not done has a slot, so one becomes empty
 * again. */
static Slot *take(Run *run)
{
    Slot *slot = NULL;
    g_mutex_lock(&run->lock);
    while (run->failure == NULL && run->next < run->count && run->empty->len == 0 && run->all->len == run->slots) {
        g_cond_wait(&run->emptied, &run->lock);
    }
    if (run->failure == NULL && run->next < run->count) {
        slot = run->empty->len == 0 ? slot_new(run) : g_ptr_array_steal_index(run->empty, run->empty->len - 1);
        slot->number = run->next++;
    }
    g_mutex_unlock(&run->lock);
    return slot;
}

/* With the lock. */
static void note_failure(Run *run, GError *failure)
{
    if (run->failure == NULL) {
        run->failure = g_steal_pointer(&failure);
    }
    g_clear_error(&failure);
    g_cond_broadcast(&run->emptied);
}

static void fail(Run *run, GError *failure)
{
    g_mutex_lock(&run->lock);
    note_failure(run, failure);
    g_mutex_unlock(&run->lock);
}

/* With the lock: the slot whose turn it is, if it is worked already and all goes well. */
static Slot *next_turn(Run *run)
{
    Slot **place = &run->worked[run->done % run->slots], *slot = *place;
    if (run->failure != NULL || slot == NULL) {
        return NULL;
    }
    *place = NULL;
    return slot;
}

/* With the lock. */
static void put_back(Run *run, Slot *slot)
{
    g_ptr_array_add(run->empty, slot);
    g_cond_signal(&run->emptied);
}

/* With the lock, which it gives away meanwhile. */
static void do_turn(Run *run, Slot *slot)
{
    GError *failure = NULL;
    g_mutex_unlock(&run->lock);
    gboolean ok = run->work->done(slot->number, slot->memory, run->user, &failure);
    g_mutex_lock(&run->lock);
    if (!ok) {
        note_failure(run, failure);
    }
    run->done++;
    put_back(run, slot);
}

/* With the lock. A slot before its turn is left to the thread that does those before it. */
static void do_in_turn(Run *run, Slot *slot)
{
    run->worked[slot->number % run->slots] = slot;
    if (run->busy) {
        return;
    }
    run->busy = TRUE;
    for (Slot *turn; (turn = next_turn(run)) != NULL;) {
        do_turn(run, turn);
    }
    run->busy = FALSE;
}

static void finish(Run *run, Slot *slot)
{
    g_mutex_lock(&run->lock);
    if (run->work->done == NULL) {
        put_back(run, slot);
    } else {
        do_in_turn(run, slot);
    }
    g_mutex_unlock(&run->lock);
}

static gpointer run_thread(gpointer data)
{
    Run *run = data;
    for (Slot *slot; (slot = take(run)) != NULL;) {
        GError *failure = NULL;
        if (ingot_interrupt_check(&failure) && run->work->work(slot->number, slot->memory, run->user, &failure)) {
            finish(run, slot);
        } else {
            fail(run, failure);
        }
    }
    return NULL;
}

/* With one slot for each thread, one that has worked would stand still until those before it have. */
static guint slots_for(const ParallelWork *work, guint threads)
{
    return work->done == NULL ? threads : 2 * threads;
}

static void run_all(Run *run, guint threads)
{
    run->slots = slots_for(run->work, threads);
    run->all = g_ptr_array_new_with_free_func(slot_free);
    run->empty = g_ptr_array_new();
    run->worked = g_new0(Slot *, run->slots);
    g_mutex_init(&run->lock);
    g_cond_init(&run->emptied);
    crew_run("parallel", threads, run_thread, run);
    g_cond_clear(&run->emptied);
    g_mutex_clear(&run->lock);
    g_free(run->worked);
    g_ptr_array_unref(run->empty);
    g_ptr_array_unref(run->all);
}

gboolean parallel_run(const ParallelWork *work, guint64 count, gpointer user, GError **error)
{
    Run run = {.work = work, .user = user, .count = count};
    run_all(&run, (guint)MIN(count, MIN(g_get_num_processors(), THREADS_MAX)));
    if (run.failure != NULL) {
        g_propagate_error(error, run.failure);
        return FALSE;
    }
    return TRUE;
}
