/* HTTP by libmicrohttpd: sockets, TLS, limits of connections, start and stop. What becomes of a request: flow.h. */
#pragma once

#include "server/http/flow.h"
#include "server/http/listen.h"

typedef struct Http Http;
typedef struct {
    gboolean tls; /* of what comes by TCP, with the pair that tls.h has loaded */
    guint max_connections, max_connections_per_address;
    guint idle_timeout; /* seconds */
    WatchLimits watch;
    guint rate;       /* requests of an address a second; 0: any number */
    double burst;     /* 0: ten times the rate */
    FlowOptions flow; /* all but what HTTP makes: watch and rate */
} HttpOptions;

/* listeners: GArray of Listener (listen.h), whose descriptors are its from now on. */
Http *http_start(const HttpOptions *options, GArray *listeners, GError **error);
/* Takes no more connections, lets running requests end (at most 10 s), stops. end_waits lets no request wait any longer
 * to be identified. */
void http_stop(Http *http, void (*end_waits)(struct Server *server));
