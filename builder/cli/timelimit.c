#include "cli/timelimit.h"

#include <ingot/error.h>

#include "base/process.h"
#include "base/text.h"

#define LONGEST_SECONDS 2592000 /* 30 days */

struct TimeLimit {
    char *text;
    gint64 end; /* monotonic */
    GMutex mutex;
    GCond changed;
    gboolean done;
    GThread *thread;
};

static gpointer limit_wait(gpointer user)
{
    TimeLimit *limit = user;
    gboolean over = FALSE;
    g_mutex_lock(&limit->mutex);
    while (!limit->done && !over) {
        over = !g_cond_wait_until(&limit->changed, &limit->mutex, limit->end);
    }
    if (!limit->done) {
        g_autofree char *why = g_strdup_printf("took longer than --timeout %s", limit->text);
        ingot_interrupt_raise(why);
    }
    g_mutex_unlock(&limit->mutex);
    return NULL;
}

gboolean time_limit_begin(const char *text, TimeLimit **begun, GError **error)
{
    guint64 seconds;
    if (text == NULL) {
        return TRUE;
    }
    if (!ingot_text_parse_duration(text, &seconds, NULL) || seconds == 0 || seconds > LONGEST_SECONDS) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--timeout '%s': a time from 1s to 30d is expected", text);
        return FALSE;
    }
    TimeLimit *limit = *begun = g_new0(TimeLimit, 1);
    limit->text = g_strdup(text);
    limit->end = g_get_monotonic_time() + (gint64)seconds * G_USEC_PER_SEC;
    g_mutex_init(&limit->mutex);
    g_cond_init(&limit->changed);
    limit->thread = g_thread_new("timeout", limit_wait, limit);
    return TRUE;
}

void time_limit_free(TimeLimit *limit)
{
    if (limit == NULL) {
        return;
    }
    g_mutex_lock(&limit->mutex);
    limit->done = TRUE;
    g_cond_signal(&limit->changed);
    g_mutex_unlock(&limit->mutex);
    g_thread_join(limit->thread);
    g_mutex_clear(&limit->mutex);
    g_cond_clear(&limit->changed);
    g_free(limit->text);
    g_free(limit);
}
