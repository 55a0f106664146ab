/* Watches connections, so that slow clients do not hold them for ever: the head of a request has to come in time, and a
 * request that runs has to move some bytes, in either direction. The HTTP library by itself ends only connections on
 * which nothing moves at all, and a byte a second is something.
 *
 * Invariant: a client is never blamed for the server's own work. Time is what a connection's thread has spent waiting:
 * while that thread works (it reads a piece of a blob, say), it stands still for all connections of the thread, and it
 * begins anew for one whose request another thread has worked on. Thread safe. */
#pragma once

#include <glib.h>
#include <microhttpd.h>

/* 0: no limit. */
typedef struct {
    guint head_seconds; /* for the head of a request, from the connection's or the head's begin */
    guint64 min_rate;   /* bytes per second, averaged over: */
    guint rate_seconds;
} WatchLimits;

typedef struct {
    guint open;      /* connections, now */
    guint64 heads;   /* connections that were ended since the head did not come */
    guint64 stalled; /* since too little moved */
} WatchFigures;

typedef struct Watch Watch;
/* NULL: the system gives it no thread. */
Watch *watch_new(const WatchLimits *limits, GError **error);
/* Once the HTTP library has stopped. */
void watch_free(Watch *watch);
WatchFigures watch_figures(Watch *watch);

/* For MHD_OPTION_NOTIFY_CONNECTION, with the Watch as closure; takes the socket's context. */
void watch_connection(void *watch, struct MHD_Connection *connection, void **context,
                      enum MHD_ConnectionNotificationCode code);

/* A request's head has come; the request has ended. */
void watch_begin(struct MHD_Connection *connection);
void watch_end(struct MHD_Connection *connection);
/* The request is worked on elsewhere, and no more. */
void watch_suspend(struct MHD_Connection *connection);
void watch_resume(struct MHD_Connection *connection);
/* For the rest of this request nobody is blamed, however little moves: a proxy that is trusted reads an answer as its
 * own client does, or not at all while it still has enough for that one. */
void watch_excuse(struct MHD_Connection *connection);
/* The calling thread, one of the HTTP library's, works, and waits again. Does nothing in other threads. */
void watch_enter(void);
void watch_leave(void);
