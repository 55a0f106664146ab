/* What operators and their tools ask: /healthz (does it live), /readyz (does it serve), /metrics (what has it done, in
 * Prometheus's text format 0.0.4). Thread safe. */
#pragma once

#include "server/http/rate.h"
#include "server/http/request.h"
#include "server/http/watch.h"
#include "server/upkeep/upkeep.h"

typedef struct Status Status;
/* What it tells of, beside requests; rate: NULL where there is none. All must outlive it. */
Status *status_new(Watch *watch, Rate *rate, Upkeep *upkeep);
void status_free(Status *status);

/* Counts a request that begins, or has ended (its route follows from its path). */
void status_begin(Status *status);
void status_end(Status *status, const Request *request);
/* Requests that have begun and not ended. */
guint status_running(Status *status);
/* From now on it is not ready: it takes its leave. */
void status_drain(Status *status);

/* Whether the path is one of the three; what is answered to it. */
gboolean status_has(const char *path);
enum MHD_Result status_answer(Status *status, Request *request);
