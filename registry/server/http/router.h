/* Routes: which handler serves a method and a path, and at what price.
 *
 * Each door gives one table of Route; a Router looks through those of all doors, in order. Nothing else in the server
 * decides by a path whose request it is. A path is a pattern of segments: a literal, {name} (one or more segments),
 * {reference} (just one, not empty) or * (the rest, at the end). At most one {name} is in a pattern, so a path matches
 * in one way only. Pure functions. */
#pragma once

#include <glib.h>
#include <microhttpd.h>

typedef struct Request Request;
typedef struct RouteMatch RouteMatch;

/* Who works on a request. The event loop must not wait: neither for a disk, nor for a lock that is held over I/O. */
typedef enum {
    POOL_LOOP,     /* the event loop: answers from memory */
    POOL_READ,     /* short reads of the disk and the catalogue */
    POOL_WRITE,    /* changes, which wait for the disk */
    POOL_FINISH,   /* ends of uploads that wait for hashes */
    POOL_SLOW,     /* reads of a whole disk, scans */
    POOL_UPSTREAM, /* asks another registry, and waits for a moment */
    POOL_FAR,      /* passes on what another registry sends */
    POOLS
} Pool;

#define ROUTE_STREAMED G_MAXSIZE

typedef enum MHD_Result (*RouteAnswer)(Request *request, const RouteMatch *match);

typedef struct {
    const char *methods; /* "GET, HEAD" */
    const char *pattern; /* "/v2/{name}/blobs/{reference}" */
    const char *name;    /* what metrics call it; routes may share one */
    int kind;            /* the door's own number for it */
    Pool pool;
    const char *strand; /* what all of its requests wait for one after another (pool.h); NULL: nothing */
    gboolean vagrant;   /* a login may be shown in the ways of Vagrant's clients too (auth/shown.h) */
    gboolean fallback;  /* it has only paths that no route before it has, whatever their method, nor any whose first
                           segment another route begins with: what is not there below /v2/ is no box */
    gboolean open;      /* neither a login nor the rate of requests matters */
    gsize body_max;     /* bytes of a request's body; 0: none is taken; ROUTE_STREAMED: see request_stream */
    RouteAnswer check;  /* in the loop, when the head has come: refuses, or returns MHD_YES; NULL: nothing to check */
    char *(*scope)(const Request *request, const RouteMatch *match); /* what a token for it is asked for (docker's token
                                                                        flow), free it; NULL: nothing */
    RouteAnswer begin;  /* in the pool, before the body comes: the same; NULL: nothing to do */
    RouteAnswer quick;  /* in the loop, when all has come: answers where memory has all that is needed; NULL: never */
    RouteAnswer answer; /* in the pool, when all has come */
    Pool (*choose)(const Request *request, const RouteMatch *match); /* in the loop: the pool, where it depends on what
                                                                        is asked; NULL: pool */
    Pool (*move)(Request *request, const RouteMatch *match); /* in that pool, before the answer: the one that gives it,
                                                                where it depends on what is found, which may be kept
                                                                (request_keep) or refused; NULL: the same */
} Route;

/* What a path is to a route. */
struct RouteMatch {
    const Route *route; /* NULL: none has this path and method */
    int kind;           /* the route's */
    char *name;         /* what {name} stands for; NULL where the pattern has none */
    char *reference;    /* likewise, or what * stands for */
    char *allow;        /* where other methods would do: those; else NULL */
};
void route_match_clear(RouteMatch *match);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(RouteMatch, route_match_clear)

/* Whether the path is one of the pattern's; name and reference (free them; may be set before FALSE too) are its
 * parts. */
gboolean route_fits(const char *pattern, const char *path, char **name, char **reference);

/* The first route in the tables (ended by NULL; each ends with a Route without pattern) that has the path and the
 * method. match is empty before. */
void router_find(const Route *const *tables, const char *method, const char *path, RouteMatch *match);
