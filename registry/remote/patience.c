#include "remote/patience.h"

#include <poll.h>

#include "base/process.h"
#include "remote/failure.h"

#define LEAST_USEC (G_USEC_PER_SEC / 5) /* "Retry-After: 0" is no leave to ask without end */
#define FAILURES_MAX 3
#define CHANCE 8 /* a wait is longer by at most this part of it */

Patience patience_of(guint seconds)
{
    guint64 usec = (guint64)seconds * G_USEC_PER_SEC;
    return (Patience){.whole = usec, .left = usec};
}

Patience patience_by_clock(guint seconds)
{
    Patience patience = patience_of(seconds);
    patience.end = g_get_monotonic_time() + (gint64)patience.left;
    return patience;
}

void patience_renew(Patience *patience)
{
    patience->left = patience->whole;
    patience->tries = 0;
    patience->failures = 0;
}

gboolean patience_broke_off(CURLcode code)
{
    return code == CURLE_SEND_ERROR || code == CURLE_SEND_FAIL_REWIND || code == CURLE_RECV_ERROR ||
           code == CURLE_GOT_NOTHING || code == CURLE_PARTIAL_FILE || code == CURLE_HTTP2 || code == CURLE_HTTP2_STREAM;
}

gboolean patience_is_passing(long status)
{
    return status == 408 || status == 429 || (status >= 500 && status != 501);
}

/* Whether such an end is worth another try, without a word of when. */
static gboolean is_failure(CURLcode code, long status)
{
    return code != CURLE_OK ? patience_broke_off(code)
                            : status == 408 || status == 500 || status == 502 || status == 504;
}

gint64 patience_take(Patience *patience, CURL *curl, CURLcode code, long status)
{
    gboolean busy = code == CURLE_OK && (status == 429 || status == 503);
    long proxy = failure_proxy_status(curl);
    gboolean failed = proxy != 0 ? proxy >= 500 : is_failure(code, status);
    curl_off_t asked = 0;
    if (!busy && !failed) {
        return -1;
    }
    if (code == CURLE_OK) {
        curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &asked);
    }
    if (failed && asked <= 0 && patience->failures++ >= FAILURES_MAX) {
        return -1;
    }
    guint64 seconds = asked > 0 ? (guint64)asked : (guint64)1 << MIN(patience->tries, 16);
    if (seconds > G_MAXUINT32) {
        return -1;
    }
    guint64 usec = MAX(seconds * G_USEC_PER_SEC, (guint64)LEAST_USEC);
    guint64 longer = usec + (guint64)(g_random_double() * (double)usec / CHANCE);
    if (usec > patience->left || (patience->end > 0 && g_get_monotonic_time() + (gint64)longer > patience->end)) {
        return -1;
    }
    patience->left -= usec;
    patience->tries++;
    return (gint64)longer;
}

gboolean patience_sleep(gint64 usec, GError **error)
{
    struct pollfd wait = {.fd = ingot_interrupt_fd(), .events = POLLIN};
    poll(&wait, 1, (int)(usec / 1000));
    return ingot_interrupt_check(error);
}
