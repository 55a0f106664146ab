#include "server/http/rate.h"

#include "server/http/network.h"

typedef struct {
    guint64 key;
    double tokens; /* at the time `at` */
    gint64 at;
    GList link; /* in Rate.order */
} Bucket;

struct Rate {
    GMutex lock;
    double per_second, burst;
    GHashTable *buckets; /* key -> Bucket, which it owns */
    GQueue order;        /* the bucket that was asked last comes first */
    guint64 refused;
};

/* All bits of an address count: g_int64_hash() looks at one half of a key alone, which all of IPv4 shares. */
static guint key_hash(gconstpointer key)
{
    return (guint)((*(const guint64 *)key * G_GUINT64_CONSTANT(0x9e3779b97f4a7c15)) >> 32);
}

Rate *rate_new(guint per_second, double burst)
{
    Rate *rate = g_new0(Rate, 1);
    g_mutex_init(&rate->lock);
    rate->per_second = per_second;
    rate->burst = burst;
    rate->buckets = g_hash_table_new_full(key_hash, g_int64_equal, NULL, g_free);
    g_queue_init(&rate->order);
    return rate;
}

void rate_free(Rate *rate)
{
    if (rate == NULL) {
        return;
    }
    g_mutex_clear(&rate->lock);
    g_hash_table_unref(rate->buckets);
    g_free(rate);
}

static void forget_oldest(Rate *rate)
{
    Bucket *oldest = g_queue_peek_tail(&rate->order);
    g_queue_unlink(&rate->order, &oldest->link);
    g_hash_table_remove(rate->buckets, &oldest->key);
}

/* The address's bucket, filled up to now, as the one that was asked last. */
static Bucket *find_bucket(Rate *rate, guint64 key, gint64 now)
{
    Bucket *bucket = g_hash_table_lookup(rate->buckets, &key);
    if (bucket != NULL) {
        double more = (double)(now - bucket->at) / G_USEC_PER_SEC * rate->per_second;
        bucket->tokens = MIN(rate->burst, bucket->tokens + more);
        g_queue_unlink(&rate->order, &bucket->link);
    } else {
        if (g_hash_table_size(rate->buckets) >= RATE_ADDRESSES) {
            forget_oldest(rate);
        }
        bucket = g_new0(Bucket, 1);
        bucket->key = key;
        bucket->tokens = rate->burst;
        bucket->link.data = bucket;
        g_hash_table_insert(rate->buckets, &bucket->key, bucket);
    }
    bucket->at = now;
    g_queue_push_head_link(&rate->order, &bucket->link);
    return bucket;
}

gboolean rate_take(Rate *rate, const struct sockaddr *address, gint64 now)
{
    g_mutex_lock(&rate->lock);
    Bucket *bucket = find_bucket(rate, network_of(address), now);
    gboolean taken = bucket->tokens >= 1;
    if (taken) {
        bucket->tokens -= 1;
    } else {
        rate->refused++;
    }
    g_mutex_unlock(&rate->lock);
    return taken;
}

guint64 rate_refused(Rate *rate)
{
    g_mutex_lock(&rate->lock);
    guint64 refused = rate->refused;
    g_mutex_unlock(&rate->lock);
    return refused;
}
