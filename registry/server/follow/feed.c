#include "server/follow/feed.h"

#include <string.h>

#include "base/crew.h"
#include "base/share.h"
#include "server/auth/access.h"
#include "server/follow/newest.h"
#include "server/http/client.h"
#include "server/http/log.h"
#include "server/http/watch.h"

#define LOOK_EVERY (100 * G_TIME_SPAN_MILLISECOND)  /* at the log */
#define BEAT_EVERY (10 * G_TIME_SPAN_SECOND)        /* of a silent answer */
#define HELD_FOR ((gint64)10 * 60 * G_USEC_PER_SEC) /* an answer, at most */
#define BATCH (64u << 10)                           /* bytes that are put together at once */
#define PASSED_ON 2048u                             /* events that are looked through for a batch, at most */

typedef struct {
    Feed *feed;
    Request *request;      /* lives for as long as the answer is read */
    guint64 network;       /* of its client (network.h) */
    GPatternSpec *pattern; /* NULL: any name */
    guint64 at;            /* the number of the last event that it is past */
    GString *batch;        /* what is being sent, from `sent` on */
    gsize sent;
    gint64 until, beat; /* monotonic: when it ends, when it is to say something */
    gboolean waiting;   /* suspended */
    GList link;         /* in Feed.held */
} Held;

struct Feed {
    GThread *looker;
    guint most;  /* answers that may be held */
    GMutex lock; /* of all that follows */
    GCond stop;
    Newest *newest;
    GQueue held;          /* of Held */
    GHashTable *networks; /* of those that hold some: network -> how many */
    gboolean ended, stopping;
};

/* --- what is held --- */

/* Under the lock. */
static void held_wake(Held *held)
{
    if (held->waiting) {
        held->waiting = FALSE;
        MHD_resume_connection(held->request->connection);
    }
}

/* Under the lock: those for whom there is something new, and those that have been silent for long. */
static void feed_wake(Feed *feed, gboolean all)
{
    gint64 now = g_get_monotonic_time();
    for (GList *link = feed->held.head; link != NULL; link = link->next) {
        Held *held = link->data;
        if (all || held->at < newest_last(feed->newest) || now >= held->beat) {
            held_wake(held);
        }
    }
}

static guint feed_held_by(const Feed *feed, guint64 network)
{
    return GPOINTER_TO_UINT(g_hash_table_lookup(feed->networks, &network));
}

static void feed_set_held_by(Feed *feed, guint64 network, guint count)
{
    if (count == 0) {
        g_hash_table_remove(feed->networks, &network);
    } else {
        g_hash_table_insert(feed->networks, g_memdup2(&network, sizeof network), GUINT_TO_POINTER(count));
    }
}

/* Under the lock. FALSE: there is no room for one more of that network. */
static gboolean feed_hold(Feed *feed, Held *held)
{
    guint theirs = feed_held_by(feed, held->network);
    if (feed->ended || !share_allows(feed->most, feed->held.length, held->network, theirs, 1, theirs == 0)) {
        return FALSE;
    }
    feed_set_held_by(feed, held->network, theirs + 1);
    g_queue_push_tail_link(&feed->held, &held->link);
    return TRUE;
}

static void held_free(gpointer user)
{
    Held *held = user;
    g_clear_pointer(&held->pattern, g_pattern_spec_free);
    g_string_free(held->batch, TRUE);
    g_free(held);
}

static void held_end(gpointer user)
{
    Held *held = user;
    Feed *feed = held->feed;
    g_mutex_lock(&feed->lock);
    g_queue_unlink(&feed->held, &held->link);
    feed_set_held_by(feed, held->network, feed_held_by(feed, held->network) - 1);
    g_mutex_unlock(&feed->lock);
    held_free(held);
}

static gboolean held_may_see(const Held *held, const NewestEvent *event)
{
    return event->name != NULL && (held->pattern == NULL || g_pattern_spec_match_string(held->pattern, event->name)) &&
           access_may(held->request, ACCESS_PULL, event->name);
}

/* Under the lock: puts together what is to be sent next. */
static void held_fill(Held *held)
{
    const Newest *newest = held->feed->newest;
    g_string_truncate(held->batch, 0);
    held->sent = 0;
    if (held->at < newest_gone(newest)) {
        held->at = newest_last(newest);
        g_string_append_printf(held->batch, "{\"lost\":true,\"number\":%" G_GUINT64_FORMAT "}\n", held->at);
        return;
    }
    const GList *link = newest_behind(newest, held->at);
    for (guint i = 0; link != NULL && i < PASSED_ON && held->batch->len < BATCH; i++, link = link->next) {
        const NewestEvent *event = link->data;
        if (held_may_see(held, event)) {
            g_string_append(held->batch, event->line);
        }
        held->at = event->number;
    }
    if (link == NULL) {
        held->at = MAX(held->at, newest_last(newest));
    }
}

/* Under the lock: bytes that were given; 0: there is nothing to say, and the connection is suspended. */
static ssize_t held_give(Held *held, char *buffer, gsize size)
{
    gint64 now = g_get_monotonic_time();
    if (held->sent == held->batch->len) {
        if (held->feed->ended || now >= held->until) {
            return MHD_CONTENT_READER_END_OF_STREAM;
        }
        held_fill(held);
    }
    if (held->batch->len == 0 && now >= held->beat) {
        g_string_append_c(held->batch, '\n');
    }
    gsize rest = held->batch->len - held->sent, given = MIN(rest, size);
    if (given > 0) {
        memcpy(buffer, held->batch->str + held->sent, given);
        held->sent += given;
        held->beat = now + BEAT_EVERY;
        return (ssize_t)given;
    }
    if (held->at >= newest_last(held->feed->newest)) {
        held->waiting = TRUE;
        watch_suspend(held->request->connection);
        MHD_suspend_connection(held->request->connection);
    }
    return 0;
}

static ssize_t held_read(void *user, uint64_t position, char *buffer, size_t size)
{
    Held *held = user;
    (void)position;
    watch_resume(held->request->connection);
    g_mutex_lock(&held->feed->lock);
    ssize_t given = held_give(held, buffer, size);
    g_mutex_unlock(&held->feed->lock);
    return given;
}

enum MHD_Result feed_answer(Feed *feed, Request *request, const guint64 *after, const char *pattern)
{
    Held *held = g_new0(Held, 1);
    gint64 now = g_get_monotonic_time();
    *held = (Held){.feed = feed,
                   .request = request,
                   .network = client_network(request),
                   .pattern = pattern == NULL ? NULL : g_pattern_spec_new(pattern),
                   .batch = g_string_new("\n"),
                   .until = now + HELD_FOR,
                   .beat = now + BEAT_EVERY};
    held->link.data = held;
    g_mutex_lock(&feed->lock);
    guint64 last = newest_last(feed->newest);
    gboolean room = feed_hold(feed, held);
    held->at = after == NULL ? last : MIN(*after, last);
    g_mutex_unlock(&feed->lock);
    if (!room) {
        held_free(held);
        return request_refuse_busy(request, "as many clients follow this registry as it takes; try again");
    }
    if (after == NULL) {
        g_string_printf(held->batch, "{\"number\":%" G_GUINT64_FORMAT "}\n", last);
    }
    return request_answer_held(request, "application/jsonl", held_read, held, held_end);
}

/* --- the whole --- */

static void feed_look(Feed *feed, gboolean *told)
{
    g_autoptr(GError) error = NULL;
    gboolean ok = newest_read(feed->newest, &error); /* without the lock: no event loop waits for the disk */
    if (!ok && !*told) {
        log_error("the log of events can't be followed: %s", error->message);
    }
    *told = !ok;
    g_mutex_lock(&feed->lock);
    newest_take(feed->newest);
    feed_wake(feed, FALSE);
    g_mutex_unlock(&feed->lock);
}

static gpointer run_looker(gpointer user)
{
    Feed *feed = user;
    gboolean told = FALSE;
    g_mutex_lock(&feed->lock);
    while (!feed->stopping) {
        g_mutex_unlock(&feed->lock);
        feed_look(feed, &told);
        g_mutex_lock(&feed->lock);
        g_cond_wait_until(&feed->stop, &feed->lock, g_get_monotonic_time() + LOOK_EVERY);
    }
    g_mutex_unlock(&feed->lock);
    return NULL;
}

Feed *feed_start(Storage *storage, guint connections, GError **error)
{
    Feed *feed = g_new0(Feed, 1);
    feed->most = connections / 2;
    g_mutex_init(&feed->lock);
    g_cond_init(&feed->stop);
    g_queue_init(&feed->held);
    feed->networks = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    feed->newest = newest_new(storage, error);
    feed->looker = feed->newest == NULL ? NULL : crew_thread("feed", run_looker, feed, error);
    if (feed->looker == NULL) {
        feed_stop(feed);
        return NULL;
    }
    return feed;
}

void feed_end(Feed *feed)
{
    g_mutex_lock(&feed->lock);
    feed->ended = TRUE;
    feed_wake(feed, TRUE);
    g_mutex_unlock(&feed->lock);
}

void feed_stop(Feed *feed)
{
    if (feed == NULL) {
        return;
    }
    g_mutex_lock(&feed->lock);
    feed->stopping = TRUE;
    g_cond_signal(&feed->stop);
    g_mutex_unlock(&feed->lock);
    g_clear_pointer(&feed->looker, g_thread_join);
    newest_free(feed->newest);
    g_hash_table_unref(feed->networks);
    g_mutex_clear(&feed->lock);
    g_cond_clear(&feed->stop);
    g_free(feed);
}
