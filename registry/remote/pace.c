#include "remote/pace.h"

#define ALWAYS 4u           /* connections that are of use anywhere: one may be slow alone */
#define GAP_MIN (16u << 10) /* bytes that any link brings within the time that a request costs a registry */
#define GAP_MAX (1u << 20)
#define MEASURED (G_USEC_PER_SEC / 10)

void pace_answered(Pace *pace, gint64 usec)
{
    if (usec > 0 && (pace->latency == 0 || usec < pace->latency)) {
        pace->latency = usec;
    }
}

void pace_came(Pace *pace, gint64 now, gsize bytes)
{
    if (pace->since == 0) {
        pace->since = now;
        return; /* how long these took is not known */
    }
    pace->come += bytes;
    if (now - pace->since >= MAX(MEASURED, pace->latency)) {
        pace->rate = MAX(pace->rate, pace->come * G_USEC_PER_SEC / (guint64)(now - pace->since));
        pace->since = now;
        pace->come = 0;
    }
}

/* Bytes that are on their way at once where the link is full. */
static guint64 pace_under_way(const Pace *pace)
{
    return pace->rate * (guint64)pace->latency / G_USEC_PER_SEC;
}

guint64 pace_gap(const Pace *pace)
{
    return CLAMP(pace_under_way(pace) / PACE_CONNECTIONS_MAX, GAP_MIN, GAP_MAX);
}

gboolean pace_wants_more(const Pace *pace, guint busy, guint64 outstanding)
{
    return busy < ALWAYS || (busy < PACE_CONNECTIONS_MAX && outstanding < 2 * pace_under_way(pace));
}
