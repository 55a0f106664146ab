/* Tells ThreadSanitizer how GLib keeps threads in order (SAN=thread).
 *
 * The sanitizer follows pthreads, and our atomics, which are compiled with it. GLib's locks are futexes, and its counts
 * of references are in its library: without a word about them every use of what they guard looks like a race. These
 * stand before the library's own functions, call them, and say what they do. */
#include <dlfcn.h>
#include <glib.h>
#include <sanitizer/tsan_interface.h>
#include <stdlib.h>
#include <unistd.h>

const char *__tsan_default_suppressions(void);

/* Lists of GLib's pools, and the table of its quarks, are under locks that it takes within itself: those are not seen
 * here, and neither is what they guard but for what libc does for it. Each thread that finds no quark yet notes the
 * same one. jansson reads a count of references beside the
 * atomics that change it, to see whether it is one that never changes. A lock for readers and writers is made by
 * whoever takes it first. */
const char *__tsan_default_suppressions(void)
{
    return "race:^g_queue_pop_tail$\n"
           "race:^g_rw_lock_reader_lock$\n"
           "race:^g_rw_lock_writer_lock$\n"
           "race:^g_str_equal$\n"
           "race:^json_decref$\n"
           "race:^json_incref$\n"
           "race:^ingot_error_quark$\n"
           "race:^g_param_spec_pool_lookup$\n";
}

/* GLib's slices hand memory from thread to thread unseen. It can do without, if it is told so before it starts. */
__attribute__((constructor)) static void without_slices(int argc, char **argv)
{
    (void)argc;
    if (getenv("G_SLICE") == NULL) {
        setenv("G_SLICE", "always-malloc", 1);
        execv("/proc/self/exe", argv);
    }
}

/* The library's function of this name. */
#define REAL(name) ((typeof(&name))real(&real_##name, #name))

static gpointer real(gpointer *kept, const char *name)
{
    gpointer found = __atomic_load_n(kept, __ATOMIC_RELAXED);
    if (found == NULL) {
        found = dlsym(RTLD_NEXT, name);
        __atomic_store_n(kept, found, __ATOMIC_RELAXED);
    }
    return found;
}

static gpointer real_g_mutex_lock, real_g_mutex_trylock, real_g_mutex_unlock, real_g_mutex_clear, real_g_cond_wait,
    real_g_cond_wait_until, real_g_atomic_ref_count_dec, real_g_bytes_unref, real_g_ptr_array_unref,
    real_g_thread_pool_new, real_g_thread_pool_new_full, real_g_thread_pool_free, real_g_thread_pool_push,
    real_g_async_queue_push, real_g_async_queue_pop, real_g_once_init_enter, real_g_once_init_leave;

/* --- locks --- */

void g_mutex_lock(GMutex *mutex)
{
    __tsan_mutex_pre_lock(mutex, 0);
    REAL(g_mutex_lock)(mutex);
    __tsan_mutex_post_lock(mutex, 0, 0);
}

gboolean g_mutex_trylock(GMutex *mutex)
{
    __tsan_mutex_pre_lock(mutex, __tsan_mutex_try_lock);
    gboolean locked = REAL(g_mutex_trylock)(mutex);
    __tsan_mutex_post_lock(mutex, __tsan_mutex_try_lock | (locked ? 0 : __tsan_mutex_try_lock_failed), 0);
    return locked;
}

void g_mutex_unlock(GMutex *mutex)
{
    __tsan_mutex_pre_unlock(mutex, 0);
    REAL(g_mutex_unlock)(mutex);
    __tsan_mutex_post_unlock(mutex, 0);
}

void g_mutex_clear(GMutex *mutex)
{
    REAL(g_mutex_clear)(mutex);
    __tsan_mutex_destroy(mutex, 0);
}

static void begin_wait(GMutex *mutex)
{
    __tsan_mutex_pre_unlock(mutex, 0);
    __tsan_mutex_post_unlock(mutex, 0);
}

static void end_wait(GMutex *mutex)
{
    __tsan_mutex_pre_lock(mutex, 0);
    __tsan_mutex_post_lock(mutex, 0, 0);
}

void g_cond_wait(GCond *cond, GMutex *mutex)
{
    begin_wait(mutex);
    REAL(g_cond_wait)(cond, mutex);
    end_wait(mutex);
}

gboolean g_cond_wait_until(GCond *cond, GMutex *mutex, gint64 end)
{
    begin_wait(mutex);
    gboolean signalled = REAL(g_cond_wait_until)(cond, mutex, end);
    end_wait(mutex);
    return signalled;
}

/* --- what is made once: who uses it comes after who made it --- */

gboolean(g_once_init_enter)(volatile void *location)
{
    gboolean first = REAL(g_once_init_enter)(location);
    if (!first) {
        __tsan_acquire((void *)location);
    }
    return first;
}

void(g_once_init_leave)(volatile void *location, gsize result)
{
    __tsan_release((void *)location);
    REAL(g_once_init_leave)(location, result);
}

/* --- references: who frees comes after all who let go --- */

gboolean(g_atomic_ref_count_dec)(gatomicrefcount *count)
{
    __tsan_release(count);
    gboolean last = REAL(g_atomic_ref_count_dec)(count);
    if (last) {
        __tsan_acquire(count);
    }
    return last;
}

/* Whether it was the last is not told: each comes after those before. */
static void let_go(gpointer thing)
{
    if (thing != NULL) {
        __tsan_release(thing);
        __tsan_acquire(thing);
    }
}

void g_bytes_unref(GBytes *bytes)
{
    let_go(bytes);
    REAL(g_bytes_unref)(bytes);
}

void g_ptr_array_unref(GPtrArray *array)
{
    let_go(array);
    REAL(g_ptr_array_unref)(array);
}

/* --- queues and pools: who works on a thing comes after who handed it over --- */

void g_async_queue_push(GAsyncQueue *queue, gpointer data)
{
    __tsan_release(data);
    REAL(g_async_queue_push)(queue, data);
}

gpointer g_async_queue_pop(GAsyncQueue *queue)
{
    gpointer data = REAL(g_async_queue_pop)(queue);
    __tsan_acquire(data);
    return data;
}

typedef struct {
    GFunc work;
    gpointer user;
} Pool;

static void work(gpointer data, gpointer user)
{
    const Pool *pool = user;
    __tsan_acquire(data);
    pool->work(data, pool->user);
    __tsan_release(user);
}

/* Its last thread may free what is read here: the library sees to it that this comes later. */
__attribute__((no_sanitize("thread"))) void g_thread_pool_free(GThreadPool *pool, gboolean immediate, gboolean wait)
{
    gpointer user = pool->user_data;
    REAL(g_thread_pool_free)(pool, immediate, wait);
    __tsan_acquire(user);
}

/* As long as the process. */
static Pool *pool_new(GFunc func, gpointer user)
{
    Pool *pool = g_new(Pool, 1);
    *pool = (Pool){.work = func, .user = user};
    return pool;
}

GThreadPool *g_thread_pool_new(GFunc func, gpointer user, gint threads, gboolean exclusive, GError **error)
{
    return REAL(g_thread_pool_new)(work, pool_new(func, user), threads, exclusive, error);
}

GThreadPool *g_thread_pool_new_full(GFunc func, gpointer user, GDestroyNotify item_free, gint threads,
                                    gboolean exclusive, GError **error)
{
    return REAL(g_thread_pool_new_full)(work, pool_new(func, user), item_free, threads, exclusive, error);
}

gboolean g_thread_pool_push(GThreadPool *pool, gpointer data, GError **error)
{
    __tsan_release(data);
    return REAL(g_thread_pool_push)(pool, data, error);
}
