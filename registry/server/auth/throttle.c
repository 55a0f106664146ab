#include "server/auth/throttle.h"

#define LONGEST 60u                     /* seconds */
#define DOUBLINGS 6                     /* to the longest */
#define FORGET (5 * G_TIME_SPAN_MINUTE) /* after the wait's end */
#define TRUST G_TIME_SPAN_DAY           /* after a right password */
#define NAME_BYTES 64                   /* no user's name is longer; longer ones may share a count */

struct Throttle {
    GMutex lock;
    GHashTable *counts;  /* key_here or key_everywhere -> Count */
    GHashTable *trusted; /* key_here -> gint64: until when */
};

typedef struct {
    gint64 end; /* of the wait */
    guint failures;
} Count;

Throttle *throttle_new(void)
{
    Throttle *throttle = g_new0(Throttle, 1);
    g_mutex_init(&throttle->lock);
    throttle->counts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    throttle->trusted = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return throttle;
}

void throttle_free(Throttle *throttle)
{
    g_hash_table_unref(throttle->counts);
    g_hash_table_unref(throttle->trusted);
    g_mutex_clear(&throttle->lock);
    g_free(throttle);
}

/* Free both. */
static char *key_here(const char *user, guint64 network)
{
    return g_strdup_printf("%" G_GINT64_MODIFIER "x %.*s", network, NAME_BYTES, user);
}

static char *key_everywhere(const char *user)
{
    return g_strdup_printf("* %.*s", NAME_BYTES, user);
}

static gint64 left_of(const Throttle *throttle, const char *key, gint64 now)
{
    const Count *count = g_hash_table_lookup(throttle->counts, key);
    return count == NULL ? 0 : MAX(count->end - now, 0);
}

static gboolean is_trusted(const Throttle *throttle, const char *key, gint64 now)
{
    const gint64 *until = g_hash_table_lookup(throttle->trusted, key);
    return until != NULL && *until > now;
}

guint throttle_wait(Throttle *throttle, const char *user, guint64 network, gint64 now)
{
    g_autofree char *here = key_here(user, network), *everywhere = key_everywhere(user);
    g_mutex_lock(&throttle->lock);
    gint64 left = left_of(throttle, here, now);
    if (!is_trusted(throttle, here, now)) {
        left = MAX(left, left_of(throttle, everywhere, now));
    }
    g_mutex_unlock(&throttle->lock);
    return (guint)((left + G_USEC_PER_SEC - 1) / G_USEC_PER_SEC);
}

/* Drops what ended before `over`; if that is nothing, what ends first. Each value begins with its end. */
static void make_room(GHashTable *table, gint64 over)
{
    GHashTableIter iterator;
    gpointer key, value, first = NULL;
    gint64 first_end = G_MAXINT64;
    g_hash_table_iter_init(&iterator, table);
    while (g_hash_table_iter_next(&iterator, &key, &value)) {
        gint64 end = *(const gint64 *)value;
        if (end <= over) {
            g_hash_table_iter_remove(&iterator);
        } else if (end < first_end) {
            first_end = end;
            first = key;
        }
    }
    if (first != NULL && g_hash_table_size(table) >= THROTTLE_MAX) {
        g_hash_table_remove(table, first);
    }
}

/* The key becomes the table's. */
static void count_failure(Throttle *throttle, char *key, guint free, gint64 now)
{
    Count *count = g_hash_table_lookup(throttle->counts, key);
    if (count == NULL && g_hash_table_size(throttle->counts) >= THROTTLE_MAX) {
        make_room(throttle->counts, now - FORGET);
    }
    Count fresh = {.failures = count == NULL || count->end + FORGET <= now ? 1 : count->failures + 1};
    guint beyond = fresh.failures <= free ? 0 : fresh.failures - free;
    gint64 wait = beyond == 0 ? 0 : MIN(1u << MIN(beyond - 1, DOUBLINGS), LONGEST);
    fresh.end = now + wait * G_TIME_SPAN_SECOND;
    g_hash_table_replace(throttle->counts, key, g_memdup2(&fresh, sizeof fresh));
}

void throttle_fail(Throttle *throttle, const char *user, guint64 network, gint64 now)
{
    g_mutex_lock(&throttle->lock);
    count_failure(throttle, key_here(user, network), 0, now);
    count_failure(throttle, key_everywhere(user), THROTTLE_FREE, now);
    g_mutex_unlock(&throttle->lock);
}

void throttle_succeed(Throttle *throttle, const char *user, guint64 network, gint64 now)
{
    char *here = key_here(user, network);
    gint64 *until = g_new(gint64, 1);
    *until = now + TRUST;
    g_mutex_lock(&throttle->lock);
    g_hash_table_remove(throttle->counts, here);
    if (g_hash_table_size(throttle->trusted) >= THROTTLE_MAX) {
        make_room(throttle->trusted, now);
    }
    g_hash_table_replace(throttle->trusted, here, until);
    g_mutex_unlock(&throttle->lock);
}

guint throttle_size(Throttle *throttle)
{
    g_mutex_lock(&throttle->lock);
    guint size = g_hash_table_size(throttle->counts);
    g_mutex_unlock(&throttle->lock);
    return size;
}
