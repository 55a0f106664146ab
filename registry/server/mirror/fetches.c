#include "server/mirror/fetches.h"

#include <ingot/error.h>

#include "server/http/log.h"

#define REMEMBERED_MAX 4096

struct Fetches {
    gint64 remember; /* microseconds */
    GMutex lock;
    GCond ended;
    GHashTable *all; /* key -> Fetch */
    guint running, threads, most;
    GThreadPool *pool;
};

typedef struct {
    gatomicrefcount references; /* of the table, of its thread, of those who wait */
    char *key;
    FetchFunc function;
    gpointer data; /* until it has ended; then NULL */
    GDestroyNotify free;
    gint64 began, until;  /* monotonic; until when the outcome is remembered */
    FetchOutcome outcome; /* FETCH_PENDING: it runs */
    char *result;
} Fetch;

static void fetch_unref(gpointer data)
{
    Fetch *fetch = data;
    if (g_atomic_ref_count_dec(&fetch->references)) {
        g_free(fetch->result);
        g_free(fetch->key);
        g_free(fetch);
    }
}

static FetchOutcome outcome_of(const Fetch *fetch, gboolean ok, const GError *error)
{
    if (ok) {
        return FETCH_DONE;
    }
    if (g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        return FETCH_ABSENT;
    }
    log_warning("upstream: %s: %s", fetch->key, error->message);
    /* Some registries refuse what they don't have. */
    return g_error_matches(error, INGOT_ERROR, INGOT_ERROR_DENIED) ? FETCH_ABSENT : FETCH_FAILED;
}

static void work(gpointer data, gpointer user)
{
    Fetches *fetches = user;
    Fetch *fetch = data;
    g_autoptr(GError) error = NULL;
    char *result = NULL;
    gboolean ok = fetch->function(fetch->data, &result, &error);
    FetchOutcome outcome = outcome_of(fetch, ok, error);
    g_mutex_lock(&fetches->lock);
    /* What is remembered is how it ended alone: a blob's data holds what has come of it. */
    gpointer ended = g_steal_pointer(&fetch->data);
    fetch->result = result;
    fetch->outcome = outcome;
    gboolean forgotten = outcome == FETCH_DONE || g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED);
    fetch->until = forgotten ? 0 : g_get_monotonic_time() + fetches->remember;
    fetches->running--;
    g_cond_broadcast(&fetches->ended);
    /* What nobody is told again is not kept: those who wait for it hold it. */
    if (fetch->until == 0 && g_hash_table_lookup(fetches->all, fetch->key) == fetch) {
        g_hash_table_remove(fetches->all, fetch->key);
    }
    g_mutex_unlock(&fetches->lock);
    fetch->free(ended);
    fetch_unref(fetch);
}

Fetches *fetches_new(guint remember, guint threads, guint most)
{
    Fetches *fetches = g_new0(Fetches, 1);
    fetches->threads = threads;
    fetches->most = most;
    fetches->remember = (gint64)remember * G_USEC_PER_SEC;
    g_mutex_init(&fetches->lock);
    g_cond_init(&fetches->ended);
    fetches->all = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, fetch_unref);
    fetches->pool = g_thread_pool_new(work, fetches, (gint)threads, FALSE, NULL);
    return fetches;
}

void fetches_free(Fetches *fetches)
{
    if (fetches != NULL) {
        g_thread_pool_free(fetches->pool, FALSE, TRUE);
        g_hash_table_unref(fetches->all);
        g_cond_clear(&fetches->ended);
        g_mutex_clear(&fetches->lock);
        g_free(fetches);
    }
}

gboolean fetches_crowded(Fetches *fetches)
{
    g_mutex_lock(&fetches->lock);
    gboolean crowded = fetches->running > fetches->threads;
    g_mutex_unlock(&fetches->lock);
    return crowded;
}

static gboolean is_over(gpointer key, gpointer value, gpointer now)
{
    (void)key;
    const Fetch *fetch = value;
    return fetch->outcome != FETCH_PENDING && fetch->until < *(gint64 *)now;
}

static gboolean has_ended(gpointer key, gpointer value, gpointer user)
{
    (void)key, (void)user;
    return ((const Fetch *)value)->outcome != FETCH_PENDING;
}

/* Whoever asks for ever new things that are not there fills no memory. */
static void fetches_trim(Fetches *fetches, gint64 now)
{
    if (g_hash_table_size(fetches->all) >= REMEMBERED_MAX) {
        g_hash_table_foreach_remove(fetches->all, is_over, &now);
    }
    if (g_hash_table_size(fetches->all) >= REMEMBERED_MAX) {
        g_hash_table_foreach_remove(fetches->all, has_ended, NULL);
    }
}

/* The fetch that runs or is remembered, or one that begins now, with a reference; NULL: too many run. */
static Fetch *fetch_find(Fetches *fetches, const char *key, FetchFunc function, gpointer data, GDestroyNotify free)
{
    gint64 now = g_get_monotonic_time();
    Fetch *fetch = g_hash_table_lookup(fetches->all, key);
    if (fetch != NULL && (fetch->outcome == FETCH_PENDING || now < fetch->until)) {
        free(data);
        g_atomic_ref_count_inc(&fetch->references);
        return fetch;
    }
    if (fetches->running == fetches->most) {
        free(data);
        return NULL;
    }
    fetches_trim(fetches, now);
    fetch = g_new0(Fetch, 1);
    g_atomic_ref_count_init(&fetch->references);
    fetch->key = g_strdup(key);
    fetch->function = function;
    fetch->data = data;
    fetch->free = free;
    fetch->began = now;
    fetch->outcome = FETCH_PENDING;
    g_hash_table_replace(fetches->all, fetch->key, fetch);
    g_atomic_ref_count_inc(&fetch->references);
    g_atomic_ref_count_inc(&fetch->references);
    fetches->running++;
    g_thread_pool_push(fetches->pool, fetch, NULL);
    return fetch;
}

FetchOutcome fetches_get(Fetches *fetches, const char *key, FetchFunc function, gpointer data, GDestroyNotify free,
                         gint64 wait, char **result, FetchJoin join, gpointer user)
{
    g_mutex_lock(&fetches->lock);
    Fetch *fetch = fetch_find(fetches, key, function, data, free);
    FetchOutcome outcome = FETCH_BUSY;
    if (fetch != NULL && fetch->data != NULL && join != NULL) {
        join(fetch->data, user);
    }
    if (fetch != NULL) {
        while (fetch->outcome == FETCH_PENDING &&
               g_cond_wait_until(&fetches->ended, &fetches->lock, fetch->began + wait)) {
        }
        outcome = fetch->outcome;
        if (result != NULL) {
            *result = outcome == FETCH_DONE ? g_strdup(fetch->result) : NULL;
        }
    }
    g_mutex_unlock(&fetches->lock);
    if (fetch != NULL) {
        fetch_unref(fetch);
    }
    return outcome;
}
