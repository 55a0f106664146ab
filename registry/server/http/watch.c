#include "server/http/watch.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/crew.h"
#include "server/http/log.h"

#define SWEEP_LEAST (G_TIME_SPAN_SECOND / 4)
#define SWEEP_MOST (5 * G_TIME_SPAN_SECOND)

/* A thread that serves connections, and how long it has worked for them. */
typedef struct {
    GMutex lock;
    gint64 worked; /* microseconds, in callbacks that have ended */
    gint64 since;  /* when the callback began that runs; 0: none does */
} Thread;

/* One open connection. Its thread writes what is atomic; all else is the sweeper's. */
typedef struct {
    Thread *thread;
    int fd;
    GList link;     /* in Watch.open */
    gint changes;   /* atomic: begins and ends of requests: even between requests */
    gint working;   /* atomic: whether a request is worked on elsewhere */
    gint excused;   /* atomic: whether the request that runs is not judged */
    gint seen;      /* changes at the last sweep */
    gboolean head;  /* between requests: whether a head has begun to come */
    gboolean ended; /* by us; its thread has yet to see it */
    gint64 mark;    /* the thread's time from which on it is judged */
    guint64 moved;  /* bytes in both directions until then */
} Watched;

struct Watch {
    WatchLimits limits;
    GMutex lock; /* of all that follows */
    GCond stop;
    gboolean stopping;
    GHashTable *threads; /* GThread -> Thread */
    GQueue open;         /* of Watched */
    WatchFigures figures;
    GThread *sweeper; /* NULL where there are no limits */
};

/* --- the time of a thread --- */

static void thread_free(gpointer data)
{
    Thread *thread = data;
    g_mutex_clear(&thread->lock);
    g_free(thread);
}

/* That of the calling thread. Each thread of the HTTP library takes its connections itself, and so is here first. */
static GPrivate here;

/* Under the lock. */
static Thread *find_thread(Watch *watch)
{
    Thread *thread = g_hash_table_lookup(watch->threads, g_thread_self());
    if (thread == NULL) {
        thread = g_new0(Thread, 1);
        g_mutex_init(&thread->lock);
        g_hash_table_insert(watch->threads, g_thread_self(), thread);
        g_private_set(&here, thread);
    }
    return thread;
}

/* Microseconds that go on only while the thread waits. */
static gint64 thread_time(Thread *thread)
{
    gint64 now = g_get_monotonic_time();
    g_mutex_lock(&thread->lock);
    gint64 time = (thread->since == 0 ? now : thread->since) - thread->worked;
    g_mutex_unlock(&thread->lock);
    return time;
}

void watch_enter(void)
{
    Thread *thread = g_private_get(&here);
    if (thread != NULL) {
        g_mutex_lock(&thread->lock);
        thread->since = g_get_monotonic_time();
        g_mutex_unlock(&thread->lock);
    }
}

void watch_leave(void)
{
    Thread *thread = g_private_get(&here);
    if (thread != NULL) {
        g_mutex_lock(&thread->lock);
        thread->worked += g_get_monotonic_time() - thread->since;
        thread->since = 0;
        g_mutex_unlock(&thread->lock);
    }
}

/* --- the life of a connection --- */

void watch_connection(void *user, struct MHD_Connection *connection, void **context,
                      enum MHD_ConnectionNotificationCode code)
{
    Watch *watch = user;
    g_mutex_lock(&watch->lock);
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        Watched *watched = g_new0(Watched, 1);
        watched->thread = find_thread(watch);
        watched->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        watched->head = TRUE; /* who connects has a request to make */
        watched->mark = thread_time(watched->thread);
        watched->link.data = watched;
        g_queue_push_tail_link(&watch->open, &watched->link);
        *context = watched;
    } else {
        Watched *watched = *context;
        g_queue_unlink(&watch->open, &watched->link);
        g_free(watched);
        *context = NULL;
    }
    g_mutex_unlock(&watch->lock);
}

static Watched *watched_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

void watch_begin(struct MHD_Connection *connection)
{
    Watched *watched = watched_of(connection);
    g_atomic_int_set(&watched->excused, FALSE);
    g_atomic_int_inc(&watched->changes);
}

void watch_excuse(struct MHD_Connection *connection)
{
    g_atomic_int_set(&watched_of(connection)->excused, TRUE);
}

void watch_end(struct MHD_Connection *connection)
{
    g_atomic_int_inc(&watched_of(connection)->changes);
}

void watch_suspend(struct MHD_Connection *connection)
{
    g_atomic_int_set(&watched_of(connection)->working, TRUE);
}

void watch_resume(struct MHD_Connection *connection)
{
    g_atomic_int_set(&watched_of(connection)->working, FALSE);
}

/* --- the sweep --- */

/* TLS counts as it is on the wire. */
static gboolean bytes_moved(int fd, guint64 *received, guint64 *moved)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) {
        return FALSE;
    }
    *received = info.tcpi_bytes_received;
    *moved = info.tcpi_bytes_received + info.tcpi_bytes_acked;
    return TRUE;
}

/* Safe though another thread owns the socket: that thread closes it only after watch_connection has taken the
 * connection out of Watch.open, for which it needs the lock that we hold. So the descriptor is still this connection's,
 * and not yet that of a file which came after it. shutdown(2) alone wakes the thread, which then closes; without
 * SO_LINGER the kernel would go on to keep what a slow reader has not fetched. */
static void end_connection(Watched *watched, guint64 *counter)
{
    const struct linger drop = {.l_onoff = 1};
    setsockopt(watched->fd, SOL_SOCKET, SO_LINGER, &drop, sizeof drop);
    shutdown(watched->fd, SHUT_RDWR);
    watched->ended = TRUE;
    (*counter)++;
}

static void set_mark(Watched *watched, gint64 time, guint64 moved)
{
    watched->mark = time;
    watched->moved = moved;
}

static void judge_request(Watch *watch, Watched *watched, gint64 time, guint64 moved)
{
    const WatchLimits *limits = &watch->limits;
    if (limits->min_rate == 0 || time - watched->mark < (gint64)limits->rate_seconds * G_USEC_PER_SEC) {
        return;
    }
    if ((double)(moved - watched->moved) < (double)limits->min_rate * limits->rate_seconds) {
        end_connection(watched, &watch->figures.stalled);
    } else {
        set_mark(watched, time, moved);
    }
}

/* Between requests a client may wait; once it has begun to send a head, it has to go on. */
static void judge_head(Watch *watch, Watched *watched, gint64 time, guint64 received)
{
    if (!watched->head) {
        if (received > watched->moved) {
            watched->head = TRUE;
            watched->mark = time;
        }
    } else if (watch->limits.head_seconds > 0 &&
               time - watched->mark > (gint64)watch->limits.head_seconds * G_USEC_PER_SEC) {
        end_connection(watched, &watch->figures.heads);
    }
}

static void look_at(Watch *watch, Watched *watched)
{
    guint64 received, moved;
    if (!bytes_moved(watched->fd, &received, &moved)) {
        return; /* by a Unix socket: a program of this machine, which is not judged */
    }
    gint changes = g_atomic_int_get(&watched->changes);
    gboolean running = changes % 2 != 0;
    gint64 time = thread_time(watched->thread);
    gboolean waived = g_atomic_int_get(&watched->working) || (running && g_atomic_int_get(&watched->excused));
    if (changes != watched->seen || waived) { /* what was before does not count */
        watched->seen = changes;
        watched->head = FALSE;
        set_mark(watched, time, running ? moved : received);
    } else if (running) {
        judge_request(watch, watched, time, moved);
    } else {
        judge_head(watch, watched, time, received);
    }
}

/* One line for all that were ended: a thousand slow clients shall not fill the log. */
static void tell(guint64 heads, guint64 stalled)
{
    if (heads + stalled > 0) {
        log_info("slow clients: %" G_GUINT64_FORMAT " ended whose request did not come, %" G_GUINT64_FORMAT
                 " with whom too little moved",
                 heads, stalled);
    }
}

static void sweep(Watch *watch)
{
    WatchFigures before = watch->figures;
    for (GList *link = watch->open.head; link != NULL; link = link->next) {
        Watched *watched = link->data;
        if (!watched->ended) {
            look_at(watch, watched);
        }
    }
    WatchFigures after = watch->figures;
    g_mutex_unlock(&watch->lock); /* nobody waits for the log */
    tell(after.heads - before.heads, after.stalled - before.stalled);
    g_mutex_lock(&watch->lock);
}

static gint64 interval_of(const WatchLimits *limits)
{
    gint64 interval = SWEEP_MOST;
    if (limits->head_seconds > 0) {
        interval = MIN(interval, (gint64)limits->head_seconds * G_USEC_PER_SEC / 4);
    }
    if (limits->min_rate > 0) {
        interval = MIN(interval, (gint64)limits->rate_seconds * G_USEC_PER_SEC / 4);
    }
    return MAX(interval, SWEEP_LEAST);
}

static gpointer run_sweeper(gpointer user)
{
    Watch *watch = user;
    gint64 interval = interval_of(&watch->limits);
    g_mutex_lock(&watch->lock);
    while (!watch->stopping) {
        if (!g_cond_wait_until(&watch->stop, &watch->lock, g_get_monotonic_time() + interval)) {
            sweep(watch);
        }
    }
    g_mutex_unlock(&watch->lock);
    return NULL;
}

/* --- the whole --- */

Watch *watch_new(const WatchLimits *limits, GError **error)
{
    Watch *watch = g_new0(Watch, 1);
    watch->limits = *limits;
    g_mutex_init(&watch->lock);
    g_cond_init(&watch->stop);
    watch->threads = g_hash_table_new_full(NULL, NULL, NULL, thread_free);
    g_queue_init(&watch->open);
    if (limits->head_seconds > 0 || limits->min_rate > 0) {
        watch->sweeper = crew_thread("watch", run_sweeper, watch, error);
        if (watch->sweeper == NULL) {
            watch_free(watch);
            return NULL;
        }
    }
    return watch;
}

void watch_free(Watch *watch)
{
    g_mutex_lock(&watch->lock);
    watch->stopping = TRUE;
    g_cond_signal(&watch->stop);
    g_mutex_unlock(&watch->lock);
    g_clear_pointer(&watch->sweeper, g_thread_join);
    g_hash_table_unref(watch->threads);
    g_mutex_clear(&watch->lock);
    g_cond_clear(&watch->stop);
    g_free(watch);
}

WatchFigures watch_figures(Watch *watch)
{
    g_mutex_lock(&watch->lock);
    WatchFigures figures = watch->figures;
    figures.open = watch->open.length;
    g_mutex_unlock(&watch->lock);
    return figures;
}
