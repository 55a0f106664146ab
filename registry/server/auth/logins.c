#include "server/auth/logins.h"

#include <ingot/error.h>
#include <string.h>

#include "server/auth/fairqueue.h"
#include "server/auth/password.h"
#include "server/auth/random.h"

#define REMEMBER (60 * G_TIME_SPAN_SECOND)
#define REMEMBERED_MAX 1024

struct Logins {
    Throttle *throttle;
    GThreadPool *pool; /* each thing in it, whatever it is, stands for one job of `waiting` */
    gint stopping;     /* atomic; set under the lock */
    GMutex lock;
    FairQueue *waiting; /* of Job */
    GHashTable *right;  /* HMAC in hex -> gint64: until when, monotonic */
    guint8 key[32];
};

typedef struct {
    guint64 network;
    char *user, *password, *hash;
    LoginDone done;
    gpointer data;
} Job;

static void job_free(Job *job)
{
    explicit_bzero(job->password, strlen(job->password));
    g_free(job->user);
    g_free(job->password);
    g_free(job->hash);
    g_free(job);
}

/* --- memory --- */

/* Lengths are hashed along, so that no two triples look alike. Free it. */
static char *fingerprint(const Logins *logins, const char *user, const char *password, const char *hash)
{
    const char *const parts[] = {user, password, hash};
    GHmac *hmac = g_hmac_new(G_CHECKSUM_SHA256, logins->key, sizeof logins->key);
    for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
        guint64 length = strlen(parts[i]);
        g_hmac_update(hmac, (const guchar *)&length, sizeof length);
        g_hmac_update(hmac, (const guchar *)parts[i], (gssize)length);
    }
    char *text = g_strdup(g_hmac_get_string(hmac));
    g_hmac_unref(hmac);
    return text;
}

static gboolean is_over(gpointer key, gpointer value, gpointer now)
{
    (void)key;
    return *(const gint64 *)value <= *(const gint64 *)now;
}

static void remember(Logins *logins, const char *text)
{
    gint64 now = g_get_monotonic_time();
    gint64 *until = g_new(gint64, 1);
    *until = now + REMEMBER;
    g_mutex_lock(&logins->lock);
    if (g_hash_table_size(logins->right) >= REMEMBERED_MAX) {
        g_hash_table_foreach_remove(logins->right, is_over, &now);
    }
    if (g_hash_table_size(logins->right) >= REMEMBERED_MAX) {
        g_hash_table_remove_all(logins->right);
    }
    g_hash_table_replace(logins->right, g_strdup(text), until);
    g_mutex_unlock(&logins->lock);
}

static gboolean is_remembered(Logins *logins, const char *text)
{
    g_mutex_lock(&logins->lock);
    const gint64 *until = g_hash_table_lookup(logins->right, text);
    gboolean right = until != NULL && *until > g_get_monotonic_time();
    g_mutex_unlock(&logins->lock);
    return right;
}

LoginVerdict logins_recall(Logins *logins, guint64 network, const char *user, const char *password, const char *hash)
{
    gint64 now = g_get_monotonic_time();
    if (throttle_wait(logins->throttle, user, network, now) > 0) {
        return LOGIN_TOO_SOON;
    }
    if (hash == NULL) {
        return LOGIN_UNKNOWN;
    }
    g_autofree char *text = fingerprint(logins, user, password, hash);
    if (!is_remembered(logins, text)) {
        return LOGIN_UNKNOWN;
    }
    throttle_succeed(logins->throttle, user, network, now);
    return LOGIN_RIGHT;
}

/* --- checks --- */

/* The same user may have failed while this one waited, or the same password have been found right. */
static LoginVerdict job_verdict(Logins *logins, const Job *job)
{
    LoginVerdict verdict = logins_recall(logins, job->network, job->user, job->password, job->hash);
    if (verdict != LOGIN_UNKNOWN) {
        return verdict;
    }
    if (g_atomic_int_get(&logins->stopping)) {
        return LOGIN_BUSY;
    }
    gboolean right = password_verify(job->password, job->hash);
    gint64 now = g_get_monotonic_time();
    if (!right || job->hash == NULL) { /* nobody is right without a hash */
        throttle_fail(logins->throttle, job->user, job->network, now);
        return LOGIN_WRONG;
    }
    g_autofree char *text = fingerprint(logins, job->user, job->password, job->hash);
    remember(logins, text);
    throttle_succeed(logins->throttle, job->user, job->network, now);
    return LOGIN_RIGHT;
}

static void job_end(Job *job, LoginVerdict verdict)
{
    job->done(verdict, job->data);
    job_free(job);
}

static void on_job(gpointer data, gpointer user)
{
    (void)data;
    Logins *logins = user;
    g_mutex_lock(&logins->lock);
    Job *job = fairqueue_pop(logins->waiting);
    g_mutex_unlock(&logins->lock);
    if (job != NULL) { /* else it was turned away */
        job_end(job, job_verdict(logins, job));
    }
}

void logins_check(Logins *logins, guint64 network, const char *user, const char *password, const char *hash,
                  LoginDone done, gpointer data)
{
    Job *job = g_new0(Job, 1), *away = job;
    job->network = network;
    job->user = g_strdup(user);
    job->password = g_strdup(password);
    job->hash = g_strdup(hash);
    job->done = done;
    job->data = data;
    g_mutex_lock(&logins->lock);
    if (!g_atomic_int_get(&logins->stopping)) {
        away = fairqueue_push(logins->waiting, network, job);
        g_thread_pool_push(logins->pool, logins, NULL);
    }
    g_mutex_unlock(&logins->lock);
    if (away != NULL) {
        job_end(away, LOGIN_BUSY);
    }
}

Logins *logins_new(Throttle *throttle, guint threads, GError **error)
{
    Logins *logins = g_new0(Logins, 1);
    logins->throttle = throttle;
    g_mutex_init(&logins->lock);
    logins->right = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    logins->waiting = fairqueue_new(LOGINS_WAITING);
    g_autoptr(GError) problem = NULL;
    logins->pool = g_thread_pool_new(on_job, logins, (int)threads, TRUE, &problem);
    if (problem != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "no thread for logins: %s", problem->message);
    }
    if (problem != NULL || !random_bytes(logins->key, sizeof logins->key, error)) {
        logins_free(logins);
        return NULL;
    }
    return logins;
}

void logins_stop(Logins *logins)
{
    g_mutex_lock(&logins->lock);
    g_atomic_int_set(&logins->stopping, 1);
    g_mutex_unlock(&logins->lock);
    GThreadPool *pool = g_steal_pointer(&logins->pool);
    if (pool != NULL) {
        g_thread_pool_free(pool, FALSE, TRUE);
    }
}

void logins_free(Logins *logins)
{
    logins_stop(logins);
    fairqueue_free(logins->waiting);
    g_hash_table_unref(logins->right);
    g_mutex_clear(&logins->lock);
    explicit_bzero(logins->key, sizeof logins->key);
    g_free(logins);
}
