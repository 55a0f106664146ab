/* The way of a request: from its head to its end.
 *
 * An event loop parses, finds the route (router.h), asks who it is and what they may, and sends; all else is handed to
 * the pool that the route names, while the connection is suspended. While the server stops, nothing is suspended any
 * more: what comes then is told to come again. */
#pragma once

#include "server/http/origin.h"
#include "server/http/rate.h"
#include "server/http/request.h"
#include "server/http/status.h"
#include "server/http/watch.h"

/* Who asks: the room auth answers. */
typedef struct {
    /* FALSE: the request is answered, or waits (suspended) to be identified again. */
    gboolean (*identify)(Request *request, enum MHD_Result *result);
    gboolean (*waits)(const Request *request);
    void (*forget)(Request *request);
    const char *(*user)(const Request *request); /* for the log; "-": nobody */
} FlowIdentity;

typedef struct {
    const Route *const *tables; /* router.h */
    struct Server *server;
    const FlowIdentity *identity;
    const Origin *origin;
    gboolean own_figures; /* health and metrics have a listener of their own: not with the others */
    Watch *watch;
    Rate *rate;         /* NULL: none */
    guint idle_timeout; /* seconds: of the HTTP library, for connections */
    const StatusSources *sources;
} FlowOptions;

typedef struct Flow Flow;
/* options and what they name must outlive it. NULL: the pools can't have their threads. */
Flow *flow_new(const FlowOptions *options, GError **error);
/* From now on requests that come are told to come again. */
void flow_drain(Flow *flow);
/* Requests that have begun and not ended. */
guint flow_running(Flow *flow);
/* Lets the pools end what they have; from then on no connection is suspended. */
void flow_stop_pools(Flow *flow);
/* Once the HTTP library has stopped. */
void flow_free(Flow *flow);

/* What serves a listener: all routes, or health and metrics alone. */
typedef struct FlowDoor FlowDoor;
FlowDoor *flow_door(Flow *flow, gboolean figures_only);

/* For MHD_start_daemon (with a FlowDoor) and MHD_OPTION_NOTIFY_COMPLETED (with the Flow). */
enum MHD_Result flow_on_request(void *door, struct MHD_Connection *connection, const char *path, const char *method,
                                const char *version, const char *data, size_t *size, void **state);
void flow_on_end(void *flow, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode code);
