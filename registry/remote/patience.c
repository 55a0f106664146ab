#include "remote/patience.h"

#include "base/process.h"
#include <poll.h>

#define LEAST_USEC (G_USEC_PER_SEC / 5) /* "Retry-After: 0" is no leave to ask without end */

Patience patience_of(guint seconds)
{
    return (Patience){.left = (guint64)seconds * G_USEC_PER_SEC};
}

Patience patience_by_clock(guint seconds)
{
    Patience patience = patience_of(seconds);
    patience.end = g_get_monotonic_time() + (gint64)patience.left;
    return patience;
}

gint64 patience_take(Patience *patience, CURL *curl, long status)
{
    curl_off_t asked = 0;
    if (status != 429 && status != 503) {
        return -1;
    }
    curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &asked);
    guint64 seconds = asked > 0 ? (guint64)asked : (guint64)1 << MIN(patience->tries, 16);
    if (seconds > G_MAXUINT32) {
        return -1;
    }
    guint64 usec = MAX(seconds * G_USEC_PER_SEC, (guint64)LEAST_USEC);
    if (usec > patience->left || (patience->end > 0 && g_get_monotonic_time() + (gint64)usec > patience->end)) {
        return -1;
    }
    patience->left -= usec;
    patience->tries++;
    return (gint64)usec;
}

gboolean patience_sleep(gint64 usec, GError **error)
{
    struct pollfd wait = {.fd = ingot_interrupt_fd(), .events = POLLIN};
    poll(&wait, 1, (int)(usec / 1000));
    return ingot_interrupt_check(error);
}
