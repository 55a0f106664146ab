#include "remote/together.h"

#include "remote/http.h"

#define PAUSE_MOST (gint64) G_USEC_PER_SEC /* after which it is looked at again */

gboolean together_write(IngotRemote *remote, const Together *work, guint most, gboolean *has, GError **error)
{
    *has = FALSE;
    for (guint written = 0; written <= most; written++) {
        gint64 began = g_get_monotonic_time();
        if (!work->read(work->user, has, error)) {
            return FALSE;
        }
        if (*has) {
            return TRUE;
        }
        if (written < most && !work->write(work->user, error)) {
            return FALSE;
        }
        gint64 took = MIN(g_get_monotonic_time() - began, PAUSE_MOST);
        if (!http_wait(remote, took + (gint64)(g_random_double() * (double)took * written), error)) {
            return FALSE;
        }
    }
    return TRUE;
}
