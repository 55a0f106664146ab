#include "server/auth/throttle.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define LONGEST 60                        /* seconds */
#define FORGET (300 * G_TIME_SPAN_SECOND) /* after the end of the last wait */
#define NETWORK 8                         /* bytes of an IPv6 address */

typedef struct {
    guint seconds; /* of the last wait */
    gint64 end;
} Failure;

struct Throttle {
    GMutex lock;
    GHashTable *failures; /* key -> Failure */
};

Throttle *throttle_new(void)
{
    Throttle *throttle = g_new0(Throttle, 1);
    g_mutex_init(&throttle->lock);
    throttle->failures = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return throttle;
}

void throttle_free(Throttle *throttle)
{
    g_hash_table_unref(throttle->failures);
    g_mutex_clear(&throttle->lock);
    g_free(throttle);
}

char *throttle_key(const struct sockaddr *address)
{
    char text[INET6_ADDRSTRLEN] = "-";
    if (address != NULL && address->sa_family == AF_INET) {
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, text, sizeof text);
    } else if (address != NULL && address->sa_family == AF_INET6) {
        struct in6_addr network = ((const struct sockaddr_in6 *)address)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(&network)) {
            inet_ntop(AF_INET, network.s6_addr + 12, text, sizeof text);
        } else {
            memset(network.s6_addr + NETWORK, 0, sizeof network.s6_addr - NETWORK);
            inet_ntop(AF_INET6, &network, text, sizeof text);
        }
    }
    return g_strdup(text);
}

guint throttle_wait(Throttle *throttle, const char *key, gint64 now)
{
    g_mutex_lock(&throttle->lock);
    const Failure *failure = g_hash_table_lookup(throttle->failures, key);
    gint64 left = failure == NULL ? 0 : failure->end - now;
    g_mutex_unlock(&throttle->lock);
    return left <= 0 ? 0 : (guint)((left + G_USEC_PER_SEC - 1) / G_USEC_PER_SEC);
}

/* Drops what is over; where that is nothing, what is over first. */
static void make_room(Throttle *throttle, gint64 now)
{
    GHashTableIter iterator;
    gpointer key, value, first = NULL;
    gint64 end = G_MAXINT64;
    g_hash_table_iter_init(&iterator, throttle->failures);
    while (g_hash_table_iter_next(&iterator, &key, &value)) {
        const Failure *failure = value;
        if (failure->end + FORGET <= now) {
            g_hash_table_iter_remove(&iterator);
        } else if (failure->end < end) {
            end = failure->end;
            first = key;
        }
    }
    if (first != NULL && g_hash_table_size(throttle->failures) >= THROTTLE_MAX) {
        g_hash_table_remove(throttle->failures, first);
    }
}

void throttle_fail(Throttle *throttle, const char *key, gint64 now)
{
    g_mutex_lock(&throttle->lock);
    Failure *failure = g_hash_table_lookup(throttle->failures, key);
    if (failure == NULL) {
        if (g_hash_table_size(throttle->failures) >= THROTTLE_MAX) {
            make_room(throttle, now);
        }
        failure = g_new0(Failure, 1);
        g_hash_table_insert(throttle->failures, g_strdup(key), failure);
    } else if (failure->end + FORGET <= now) {
        failure->seconds = 0;
    }
    failure->seconds = CLAMP(failure->seconds * 2, 1, LONGEST);
    failure->end = now + failure->seconds * G_TIME_SPAN_SECOND;
    g_mutex_unlock(&throttle->lock);
}

void throttle_clear(Throttle *throttle, const char *key)
{
    g_mutex_lock(&throttle->lock);
    g_hash_table_remove(throttle->failures, key);
    g_mutex_unlock(&throttle->lock);
}

guint throttle_size(Throttle *throttle)
{
    g_mutex_lock(&throttle->lock);
    guint size = g_hash_table_size(throttle->failures);
    g_mutex_unlock(&throttle->lock);
    return size;
}
