/* A request: what is asked, and the one answer that it gets.
 *
 * A function that answers returns what is to be returned; its caller answers no more. An answer is kept in the request
 * and given to the client by flow.c. */
#pragma once

#include <glib.h>
#include <microhttpd.h>
#include <sys/socket.h>

#include "server/http/body.h"
#include "server/http/pool.h"
#include "server/http/router.h"

struct Server;
struct Caller;

/* Takes the next bytes of a streamed body; in the route's pool. */
typedef gboolean (*RequestTake)(Request *request, const void *data, gsize size, GError **error);
/* The request of a streamed body has ended, whichever way; in the route's pool, in the order of the strand. */
typedef void (*RequestRest)(struct Server *server, const char *strand);

struct Request {
    struct MHD_Connection *connection;
    char *method, *path;
    char *id;              /* what the log and the client call it */
    struct Server *server; /* what the doors know; theirs */
    struct Caller *caller; /* who asks: auth/door.h */
    RouteMatch match;

    /* origin.c's: */
    struct sockaddr_storage client; /* address; AF_UNSPEC: it has none */
    const char *external;           /* what clients call this server; NULL: what they ask for */
    char *host, *prefix;            /* as a proxy says; NULL: nothing */
    gboolean secure;                /* the client speaks TLS, to us or to a proxy */
    gboolean proxied;               /* a proxy that is trusted sent it */
    gboolean by_http_1_0;

    gint64 start;     /* monotonic, microseconds */
    gint64 again;     /* microseconds after which its route's move is asked once more; 0: it is not */
    guint64 received; /* bytes of the body */
    guint64 sent;     /* bytes of the answer's body */

    GByteArray *body;   /* what has come of it, at most the route's body_max; of a streamed one what is not yet taken */
    RequestTake take;   /* of a streamed body; NULL: it is not streamed */
    RequestRest rest;   /* NULL: nothing to do */
    char *strand;       /* what its work waits for (pool.h); NULL: nothing */
    char *upload;       /* id of the upload that the body goes to */
    guint upload_turn;  /* which of its requests this is (storage.h); 0: its only one */
    guint64 upload_at;  /* its size before, and what has come since */
    guint64 upload_end; /* its size behind the chunk that the head promises; 0: it promises none */
    GError *failure;    /* while the body came */

    gpointer kept; /* what the door has found for the answer; its own */
    GDestroyNotify kept_free;

    guint status;                  /* of the answer; 0: none yet */
    struct MHD_Response *response; /* not yet given to the client */

    /* flow.c's own: */
    enum { REQUEST_HEAD, REQUEST_BEGIN, REQUEST_BODY, REQUEST_ANSWER } phase;
    struct Flow *flow;
    struct Status *status_of; /* what counts it */
    WorkPool *const *pools;   /* by Pool; POOL_LOOP has none */
    gboolean swallows;        /* what comes of the body is read to its end before an answer goes out */
    Pool moved;               /* the pool that gives the answer, once that is known; POOL_LOOP: not yet */
    gboolean handed;          /* it was handed to a pool, and the loop has not seen it since */
    gboolean crowded;         /* no pool took it */
    gint busy;                /* atomic: a pool has it */
    gsize buffered;           /* bytes of the body that count towards all that are held */
};

const char *request_header(const Request *request, const char *name);
const char *request_query(const Request *request, const char *name);
/* All values that the query gives the name, in their order; free it with g_strfreev. */
char **request_query_all(const Request *request, const char *name);
gboolean request_is_read(const Request *request); /* GET or HEAD */
/* Whether the client has left: what is worked out for it alone may be given up. Asked while a pool has the request. */
gboolean request_gone(const Request *request);

/* Keeps what was found until the request ends: request->kept. Once. */
void request_keep(Request *request, gpointer found, GDestroyNotify free);
/* From a route's move: it can't tell yet, and is asked again after so long (microseconds). No thread waits meanwhile.
 */
void request_again(Request *request, gint64 delay);

/* From a route's begin or check: the body goes to `take` as it comes, and is not kept. The strand (copied) is what
 * keeps its parts in order. */
void request_stream(Request *request, const char *strand, RequestTake take, RequestRest rest);

/* An answer with a body (may be NULL) and headers: pairs of name and value ended by NULL. */
enum MHD_Result request_answer(Request *request, guint status, const char *type, const void *body, gsize size,
                               ...) G_GNUC_NULL_TERMINATED;
/* The same with bytes that are shared, not copied: they count once, however many clients have not read them. */
enum MHD_Result request_answer_bytes(Request *request, guint status, const char *type, GBytes *bytes,
                                     ...) G_GNUC_NULL_TERMINATED;
/* A range of a body. The body is yours no more. Nothing is answered where the body has only runs, and this is none. */
enum MHD_Result request_answer_body(Request *request, guint status, Body *body, guint64 offset, guint64 size,
                                    ...) G_GNUC_NULL_TERMINATED;
/* Several ranges of a body of that media type, which is yours no more, as multipart/byteranges: GArray of ByteRange. */
enum MHD_Result request_answer_parts(Request *request, Body *body, const GArray *ranges, const char *type,
                                     ...) G_GNUC_NULL_TERMINATED;
/* Several ranges of a body, at least one, which is yours no more: their bytes alone, one range behind the other. */
enum MHD_Result request_answer_joined(Request *request, Body *body, const GArray *ranges, ...) G_GNUC_NULL_TERMINATED;
/* An answer of no known length, whose bytes `read` gives (MHD_create_response_from_callback) as they come. It may
 * suspend the connection: then it calls watch_suspend (watch.h) first, and watch_resume when it is called again.
 * free(user) is called in any case. */
enum MHD_Result request_answer_held(Request *request, const char *type, MHD_ContentReaderCallback read, void *user,
                                    MHD_ContentReaderFreeCallback free);
/* Whether the client has what the entity tag (in its quotes) names: If-None-Match, RFC 9110, section 13.1.2. */
gboolean request_has_already(const Request *request, const char *tag);
/* An error as the distribution-spec has it ("Error Codes"). */
enum MHD_Result request_refuse(Request *request, guint status, const char *code, const char *message);
/* 503: the client is to come again soon. */
enum MHD_Result request_refuse_busy(Request *request, const char *message);
/* The same from a GError: 404 NOT_FOUND, 507 where the disk is full, else 500; code is for NOT_FOUND. */
enum MHD_Result request_fail(Request *request, const char *code, const GError *error);
