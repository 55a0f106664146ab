/* Patience: a registry that answers 429 or 503 is asked again after as long as it says (Retry-After), or after 1, 2, 4
 * … seconds where it says nothing.
 *
 * Invariant: all waits of one request together never exceed what the patience began with; by the clock, none ends
 * behind it, however long the registry takes for each of its answers. */
#pragma once

#include <curl/curl.h>
#include <glib.h>

typedef struct {
    guint64 left; /* microseconds */
    gint64 end;   /* monotonic: no wait goes on behind it; 0: waits alone count */
    guint tries;
} Patience;

Patience patience_of(guint seconds);
/* From now on, by the clock. */
Patience patience_by_clock(guint seconds);
/* How long to wait (microseconds) before the request whose answer is in the handle is sent again; -1: the answer
 * counts, since it asks for no patience or there is none left. */
gint64 patience_take(Patience *patience, CURL *curl, long status);
/* Sleeps; FALSE: a signal came. */
gboolean patience_sleep(gint64 usec, GError **error);
