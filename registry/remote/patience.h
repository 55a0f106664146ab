/* Patience: the one policy by which requests are repeated. A registry that answers 429 or 503 is asked again after as
 * long as it says (Retry-After), or after 1, 2, 4 … seconds where it says nothing; so is one that fails (408, 500, 502,
 * 504), whose connection breaks off, or that a proxy does not reach, but three times in a row at most, unless it says
 * when. Each wait is a little longer than that, by chance, so that many clients do not come back in one moment.
 *
 * Invariant: the waits of one request that brings nothing new never exceed, but for what chance adds to them, what the
 * patience began with; by the clock, none ends behind it, however long the registry takes for each of its answers. */
#pragma once

#include <curl/curl.h>
#include <glib.h>

typedef struct {
    guint64 whole, left; /* microseconds: what it began with, and what is left of that */
    gint64 end;          /* monotonic: no wait goes on behind it; 0: waits alone count */
    guint tries, failures;
} Patience;

Patience patience_of(guint seconds);
/* From now on, by the clock. */
Patience patience_by_clock(guint seconds);
/* How long to wait (microseconds) before the request whose end is in the handle is sent again; -1: its end counts,
 * since it calls for no patience or there is none left. code: of the transfer; where it is OK, the status counts. */
gint64 patience_take(Patience *patience, CURL *curl, CURLcode code, long status);
/* The request brought something new, and goes on behind it: it is as if it had not been repeated yet. */
void patience_renew(Patience *patience);
/* Whether a connection that was made broke off. */
gboolean patience_broke_off(CURLcode code);
/* Whether a status is no word about what a registry has: it may be another one in a while. */
gboolean patience_is_passing(long status);
/* Sleeps; FALSE: a signal came. */
gboolean patience_sleep(gint64 usec, GError **error);
