#include "server/follow/rollout.h"

#include <ingot/reference.h>
#include <string.h>

#include "base/text.h"

#define WHOLE 1000000u                        /* places of hosts */
#define WAIT_MOST ((guint64)3650 * 24 * 3600) /* seconds */

guint rollout_phases(const Rollout *rollout)
{
    const json_t *percent = json_object_get(rollout->rules, "percent");
    const json_t *groups = json_object_get(rollout->rules, "groups");
    return (guint)MAX(json_array_size(percent == NULL ? groups : percent), 1);
}

/* Seconds from one phase to the next. */
static gint64 rollout_wait(const Rollout *rollout)
{
    guint64 seconds = 0;
    const char *text = json_string_value(json_object_get(rollout->rules, "wait"));
    return text != NULL && ingot_text_parse_duration(text, &seconds, NULL) ? (gint64)MIN(seconds, WAIT_MOST) : 0;
}

gint64 rollout_opens(const Rollout *rollout, guint phase)
{
    return rollout->since + (gint64)phase * rollout_wait(rollout);
}

guint rollout_open(const Rollout *rollout, gint64 *next)
{
    guint phases = rollout_phases(rollout), open = rollout->at_once ? phases : 1;
    while (open < phases && rollout_opens(rollout, open) <= rollout->now) {
        open++;
    }
    *next = open < phases ? rollout_opens(rollout, open) : 0;
    return open;
}

gboolean rollout_is_stopped(const Rollout *rollout)
{
    const json_t *most = json_object_get(rollout->rules, "stop_after_failures");
    return !rollout->at_once && json_is_integer(most) && rollout->failures >= json_integer_value(most);
}

/* --- a host's phase --- */

/* From 0 to WHOLE. */
static guint host_place(const RolloutHost *host)
{
    if (host->wariness >= 0) {
        return (guint)(host->wariness * WHOLE + 0.5);
    }
    gboolean has_id = *host->id != '\0';
    g_autofree char *all = g_strconcat(host->name, "\n", host->host, has_id ? "\n" : "", host->id, NULL);
    g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, all, -1);
    sum[8] = '\0';
    return (guint)(g_ascii_strtoull(sum, NULL, 16) % WHOLE);
}

/* A phase of groups is a list of them, or one alone. */
static gboolean names_group(const json_t *phase, const char *group)
{
    gboolean named = g_strcmp0(json_string_value(phase), group) == 0;
    for (gsize i = 0; !named && i < json_array_size(phase); i++) {
        named = g_strcmp0(json_string_value(json_array_get(phase, i)), group) == 0;
    }
    return named;
}

guint rollout_phase(const Rollout *rollout, const RolloutHost *host)
{
    const json_t *percent = json_object_get(rollout->rules, "percent");
    const json_t *groups = json_object_get(rollout->rules, "groups");
    guint last = rollout_phases(rollout) - 1, place = percent == NULL ? 0 : host_place(host);
    for (guint i = 0; i < last; i++) {
        json_int_t share = json_integer_value(json_array_get(percent, i));
        if (percent == NULL ? names_group(json_array_get(groups, i), host->group) : place < share * (WHOLE / 100)) {
            return i;
        }
    }
    return last;
}

/* --- barriers --- */

const char *rollout_barrier(const json_t *rules, const char *runs, const char *target)
{
    const json_t *barriers = json_object_get(rules, "barriers");
    const char *found = NULL;
    for (gsize i = 0; target != NULL && i < json_array_size(barriers); i++) {
        const char *one = json_string_value(json_array_get(barriers, i));
        if (ingot_tag_compare(one, target) < 0 && (runs == NULL || ingot_tag_compare(one, runs) > 0) &&
            (found == NULL || ingot_tag_compare(one, found) < 0)) {
            found = one;
        }
    }
    return found;
}
