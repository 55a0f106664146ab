/* What operators and their tools ask: /healthz (does it live), /readyz (does it serve), /metrics (what has it done, in
 * Prometheus's text format 0.0.4). Thread safe. */
#pragma once

#include "server/http/rate.h"
#include "server/http/request.h"
#include "server/http/watch.h"

/* What the server adds. */
typedef struct {
    /* Writes metrics (metrics.h). exact: everybody who sees them may know of each byte that is stored. */
    void (*figures)(GString *text, struct Server *server, gboolean exact);
    gboolean (*ready)(struct Server *server, GError **error);
} StatusSources;

typedef struct Status Status;
/* What it tells of, beside requests; rate: NULL where there is none. All must outlive it. exact: for
 * the sources. */
Status *status_new(Watch *watch, Rate *rate, WorkPool *const *pools, const StatusSources *sources,
                   struct Server *server, gboolean exact);
void status_free(Status *status);

/* Counts a request that begins, or has ended. */
void status_begin(Status *status, Request *request);
void status_end(Status *status, const Request *request);
/* Requests that have begun and not ended. */
guint status_running(Status *status);
/* Whether the server can keep something now; it waits for the disk. */
gboolean status_can_keep(Status *status);
/* From now on it is not ready: it takes its leave. */
void status_drain(Status *status);

extern const Route status_routes[];
