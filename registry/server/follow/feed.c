#include "server/follow/feed.h"

#include <ingot/reference.h>
#include <string.h>

#include "base/crew.h"
#include "base/json.h"
#include "server/auth/access.h"
#include "server/http/log.h"
#include "server/http/watch.h"
#include "server/storage/tail.h"

#define KEPT_MOST 8192u                             /* events */
#define KEPT_BYTES (8u << 20)                       /* of their lines */
#define HELD_MOST 4096u                             /* answers */
#define LOOK_EVERY (100 * G_TIME_SPAN_MILLISECOND)  /* at the log */
#define BEAT_EVERY (10 * G_TIME_SPAN_SECOND)        /* of a silent answer */
#define HELD_FOR ((gint64)10 * 60 * G_USEC_PER_SEC) /* an answer, at most */
#define BATCH (64u << 10)                           /* bytes that are put together at once */
#define PASSED_ON 2048u                             /* events that are looked through for a batch, at most */

typedef struct {
    guint64 number;
    char *name, *line; /* NULL: nobody sees it */
    gsize size;
} Kept;

typedef struct {
    Feed *feed;
    Request *request;      /* lives for as long as the answer is read */
    GPatternSpec *pattern; /* NULL: any name */
    guint64 at;            /* the number of the last event that it is past */
    GString *batch;        /* what is being sent, from `sent` on */
    gsize sent;
    gint64 until, beat; /* monotonic: when it ends, when it is to say something */
    gboolean waiting;   /* suspended */
    GList link;         /* in Feed.held */
} Held;

struct Feed {
    Storage *storage;
    GThread *looker;
    GMutex lock; /* of all that follows */
    GCond stop;
    GQueue kept;  /* of Kept, the oldest first */
    gsize bytes;  /* of their lines */
    guint64 last; /* the number of the last event */
    guint64 gone; /* the number of the last event that is not kept any more */
    GQueue held;  /* of Held */
    gboolean ended, stopping;
};

/* --- what is kept --- */

static void kept_free(Kept *kept)
{
    g_free(kept->name);
    g_free(kept->line);
    g_free(kept);
}

/* The event as clients see it: its chain is the log's own. Of no name that a client may pull: without a line. */
static Kept *kept_new(guint64 number, const json_t *object)
{
    Kept *kept = g_new0(Kept, 1);
    const char *name = json_string_value(json_object_get(object, "name"));
    kept->number = number;
    if (name == NULL || !ingot_name_check(name, NULL)) {
        return kept;
    }
    g_autoptr(json_t) shown = json_copy((json_t *)object);
    json_object_del(shown, "n");
    json_object_del(shown, "tx");
    json_object_del(shown, "prev");
    json_object_set_new(shown, "number", json_integer((json_int_t)number));
    g_autofree char *text = ingot_json_canonical(shown);
    kept->name = g_strdup(name);
    kept->line = g_strconcat(text, "\n", NULL);
    kept->size = strlen(kept->line);
    return kept;
}

/* Under the lock: nothing up to that event is kept. */
static void feed_forget(Feed *feed, guint64 number)
{
    g_queue_clear_full(&feed->kept, (GDestroyNotify)kept_free);
    feed->bytes = 0;
    feed->gone = feed->last = number;
}

/* Under the lock; takes it over. */
static void feed_keep(Feed *feed, Kept *kept)
{
    if (kept->number > feed->last + 1) { /* what a checkpoint stands for, or more at once than is kept */
        feed_forget(feed, kept->number - 1);
    }
    feed->last = kept->number;
    g_queue_push_tail(&feed->kept, kept);
    feed->bytes += kept->size;
    while (feed->kept.length > KEPT_MOST || feed->bytes > KEPT_BYTES) {
        Kept *oldest = g_queue_pop_head(&feed->kept);
        feed->gone = oldest->number;
        feed->bytes -= oldest->size;
        kept_free(oldest);
    }
}

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
        if (all || held->at < feed->last || now >= held->beat) {
            held_wake(held);
        }
    }
}

static void held_free(gpointer user)
{
    Held *held = user;
    g_mutex_lock(&held->feed->lock);
    g_queue_unlink(&held->feed->held, &held->link);
    g_mutex_unlock(&held->feed->lock);
    g_clear_pointer(&held->pattern, g_pattern_spec_free);
    g_string_free(held->batch, TRUE);
    g_free(held);
}

static gboolean held_may_see(const Held *held, const Kept *kept)
{
    return kept->name != NULL && (held->pattern == NULL || g_pattern_spec_match_string(held->pattern, kept->name)) &&
           access_may(held->request, ACCESS_PULL, kept->name);
}

/* The oldest event behind the held one's number. */
static GList *held_next(const Held *held)
{
    GList *link = held->feed->kept.tail, *next = NULL;
    while (link != NULL && ((const Kept *)link->data)->number > held->at) {
        next = link;
        link = link->prev;
    }
    return next;
}

/* Under the lock: puts together what is to be sent next. */
static void held_fill(Held *held)
{
    Feed *feed = held->feed;
    g_string_truncate(held->batch, 0);
    held->sent = 0;
    if (held->at < feed->gone) {
        g_string_append_printf(held->batch, "{\"lost\":true,\"number\":%" G_GUINT64_FORMAT "}\n", feed->last);
        held->at = feed->last;
        return;
    }
    GList *link = held_next(held);
    for (guint i = 0; link != NULL && i < PASSED_ON && held->batch->len < BATCH; i++, link = link->next) {
        const Kept *kept = link->data;
        if (held_may_see(held, kept)) {
            g_string_append(held->batch, kept->line);
        }
        held->at = kept->number;
    }
    if (link == NULL) {
        held->at = MAX(held->at, feed->last);
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
    if (held->at >= held->feed->last) {
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
                   .pattern = pattern == NULL ? NULL : g_pattern_spec_new(pattern),
                   .batch = g_string_new("\n"),
                   .until = now + HELD_FOR,
                   .beat = now + BEAT_EVERY};
    held->link.data = held;
    g_mutex_lock(&feed->lock);
    gboolean room = feed->held.length < HELD_MOST && !feed->ended;
    held->at = after == NULL ? feed->last : MIN(*after, feed->last);
    if (after == NULL) {
        g_string_printf(held->batch, "{\"number\":%" G_GUINT64_FORMAT "}\n", feed->last);
    }
    g_queue_push_tail_link(&feed->held, &held->link);
    g_mutex_unlock(&feed->lock);
    if (!room) {
        held_free(held);
        return request_refuse_busy(request, "as many clients follow this registry as it takes; try again");
    }
    return request_answer_held(request, "application/jsonl", held_read, held, held_free);
}

/* --- the whole --- */

/* New events, read without the lock: no event loop waits for the disk. */
typedef struct {
    GQueue kept; /* of Kept, at most KEPT_MOST */
} Fresh;

static void fresh_take(guint64 number, const json_t *object, gpointer user)
{
    Fresh *fresh = user;
    g_queue_push_tail(&fresh->kept, kept_new(number, object));
    if (fresh->kept.length > KEPT_MOST) {
        kept_free(g_queue_pop_head(&fresh->kept));
    }
}

static void feed_look(Feed *feed, StorageTail *tail, gboolean *told)
{
    g_autoptr(GError) error = NULL;
    Fresh fresh = {.kept = G_QUEUE_INIT};
    gboolean ok = storage_tail(feed->storage, tail, fresh_take, &fresh, &error);
    if (!ok && !*told) {
        log_error("the log of events can't be followed: %s", error->message);
    }
    *told = !ok;
    g_mutex_lock(&feed->lock);
    for (Kept *kept; (kept = g_queue_pop_head(&fresh.kept)) != NULL;) {
        feed_keep(feed, kept);
    }
    if (ok && tail->number > feed->last) { /* a checkpoint has taken the place of the last ones */
        feed_forget(feed, tail->number);
    }
    feed_wake(feed, FALSE);
    g_mutex_unlock(&feed->lock);
}

static gpointer run_looker(gpointer user)
{
    Feed *feed = user;
    StorageTail tail = {0};
    gboolean told = FALSE;
    g_mutex_lock(&feed->lock);
    while (!feed->stopping) {
        g_mutex_unlock(&feed->lock);
        feed_look(feed, &tail, &told);
        g_mutex_lock(&feed->lock);
        g_cond_wait_until(&feed->stop, &feed->lock, g_get_monotonic_time() + LOOK_EVERY);
    }
    g_mutex_unlock(&feed->lock);
    return NULL;
}

Feed *feed_start(Storage *storage, GError **error)
{
    Feed *feed = g_new0(Feed, 1);
    feed->storage = storage;
    g_mutex_init(&feed->lock);
    g_cond_init(&feed->stop);
    g_queue_init(&feed->kept);
    g_queue_init(&feed->held);
    feed->looker = crew_thread("feed", run_looker, feed, error);
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
    g_queue_clear_full(&feed->kept, (GDestroyNotify)kept_free);
    g_mutex_clear(&feed->lock);
    g_cond_clear(&feed->stop);
    g_free(feed);
}
