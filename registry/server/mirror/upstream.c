#include "server/mirror/upstream.h"

#include <ingot/error.h>
#include <string.h>

#include "remote/environment.h"
#include "remote/relay.h"

#define CONNECT_SECONDS 5
#define IDLE_MAX 8 /* connections that are kept */
#define PAUSE_LEAST (2 * G_TIME_SPAN_SECOND)
#define PAUSE_MOST G_TIME_SPAN_MINUTE

struct Upstream {
    char *prefix, *url;
    GMutex lock;
    GQueue idle; /* of IngotRemote */
    Turns *turns;
    gint64 pause_ends; /* monotonic */
    gint64 pause;      /* microseconds, the last one; 0: it could be reached */
    gboolean late;
};

Upstream *upstream_new(const char *prefix, const char *url)
{
    Upstream *upstream = g_new0(Upstream, 1);
    upstream->prefix = g_strdup(prefix);
    upstream->url = g_strdup(url);
    g_mutex_init(&upstream->lock);
    g_queue_init(&upstream->idle);
    upstream->turns = turns_new();
    return upstream;
}

void upstream_free(Upstream *upstream)
{
    if (upstream != NULL) {
        g_queue_clear_full(&upstream->idle, (GDestroyNotify)ingot_remote_free);
        turns_free(upstream->turns);
        g_mutex_clear(&upstream->lock);
        g_free(upstream->prefix);
        g_free(upstream->url);
        g_free(upstream);
    }
}

const char *upstream_prefix(const Upstream *upstream)
{
    return upstream->prefix;
}

Turns *upstream_turns(Upstream *upstream)
{
    return upstream->turns;
}

Upstream *upstreams_find(const GPtrArray *upstreams, const char *name)
{
    Upstream *found = NULL;
    for (guint i = 0; i < upstreams->len; i++) {
        Upstream *one = g_ptr_array_index(upstreams, i);
        if (g_str_has_prefix(name, one->prefix) && name[strlen(one->prefix)] != '\0' &&
            (found == NULL || strlen(one->prefix) > strlen(found->prefix))) {
            found = one;
        }
    }
    return found;
}

IngotRemote *upstream_borrow(Upstream *upstream, guint stall, GError **error)
{
    g_mutex_lock(&upstream->lock);
    gboolean rests = g_get_monotonic_time() < upstream->pause_ends;
    IngotRemote *remote = rests ? NULL : g_queue_pop_head(&upstream->idle);
    g_mutex_unlock(&upstream->lock);
    if (rests) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NETWORK, "%s could not be reached a moment ago", upstream->url);
        return NULL;
    }
    if (remote != NULL || (remote = environment_remote(upstream->url, error)) != NULL) {
        ingot_remote_limit(remote, CONNECT_SECONDS, stall, 0);
    }
    return remote;
}

void upstream_give_back(Upstream *upstream, IngotRemote *remote, const GError *problem)
{
    gboolean failed = g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NETWORK);
    gboolean unreached = failed && ingot_remote_ended(remote) == INGOT_REMOTE_UNREACHED;
    g_mutex_lock(&upstream->lock);
    upstream->pause = !unreached ? 0 : upstream->pause == 0 ? PAUSE_LEAST : MIN(2 * upstream->pause, PAUSE_MOST);
    upstream->pause_ends = unreached ? g_get_monotonic_time() + upstream->pause : 0;
    upstream->late = upstream->late && failed;
    if (!failed && upstream->idle.length < IDLE_MAX) {
        g_queue_push_head(&upstream->idle, g_steal_pointer(&remote));
    }
    g_mutex_unlock(&upstream->lock);
    ingot_remote_free(remote);
}

gboolean upstream_is_late(Upstream *upstream)
{
    g_mutex_lock(&upstream->lock);
    gboolean late = upstream->late;
    g_mutex_unlock(&upstream->lock);
    return late;
}

void upstream_was_late(Upstream *upstream)
{
    g_mutex_lock(&upstream->lock);
    upstream->late = TRUE;
    g_mutex_unlock(&upstream->lock);
}
