#include "server/http/probe.h"

#define CLAIM G_TIME_SPAN_SECOND /* for so long whoever goes to work it out is waited for: its client may have left */

struct Probe {
    gint64 fresh, stale; /* microseconds */
    GMutex lock;         /* of all that follows */
    gboolean working;
    gint64 claimed; /* monotonic: when somebody found nothing and went to work it out; 0: that has ended */
    gint64 began;   /* when the last answer began to be worked out */
    ProbeAnswer last;
};

void probe_answer_clear(ProbeAnswer *answer)
{
    g_clear_pointer(&answer->text, g_bytes_unref);
}

Probe *probe_new(gint64 fresh, gint64 stale)
{
    Probe *probe = g_new0(Probe, 1);
    probe->fresh = fresh;
    probe->stale = stale;
    g_mutex_init(&probe->lock);
    return probe;
}

void probe_free(Probe *probe)
{
    probe_answer_clear(&probe->last);
    g_mutex_clear(&probe->lock);
    g_free(probe);
}

/* What began since then. Under the lock. */
static gboolean last_since(const Probe *probe, gint64 since, ProbeAnswer *answer)
{
    gboolean there = probe->last.text != NULL && probe->began >= since;
    if (there) {
        *answer = (ProbeAnswer){.status = probe->last.status, .text = g_bytes_ref(probe->last.text)};
    }
    return there;
}

gboolean probe_peek(Probe *probe, ProbeAnswer *answer)
{
    gint64 now = g_get_monotonic_time();
    g_mutex_lock(&probe->lock);
    gboolean busy = probe->working || now - probe->claimed < CLAIM;
    gboolean there = last_since(probe, now - (busy ? probe->stale : probe->fresh), answer);
    if (!there) {
        probe->claimed = now;
    }
    g_mutex_unlock(&probe->lock);
    return there;
}

void probe_ask(Probe *probe, gint64 since, ProbeWork work, gpointer user, ProbeAnswer *answer)
{
    g_mutex_lock(&probe->lock);
    gboolean there = last_since(probe, since, answer);
    probe->working = !there;
    g_mutex_unlock(&probe->lock);
    if (there) {
        return;
    }
    gint64 began = g_get_monotonic_time();
    work(user, answer);
    g_mutex_lock(&probe->lock);
    probe_answer_clear(&probe->last);
    probe->last = (ProbeAnswer){.status = answer->status, .text = g_bytes_ref(answer->text)};
    probe->began = began;
    probe->working = FALSE;
    probe->claimed = 0;
    g_mutex_unlock(&probe->lock);
}
