#include "cli/channelhosts.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/history.h"
#include "remote/api.h"

#define ID_SHOWN 8 /* characters of an id */

static const char *member(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

/* The list's entry of a channel; one is added where there is none. It belongs to the list. */
static json_t *find_channel(json_t *channels, const char *name)
{
    gsize index;
    json_t *entry;
    json_array_foreach(channels, index, entry)
    {
        if (g_strcmp0(member(entry, "channel"), name) == 0) {
            return entry;
        }
    }
    entry = json_object();
    ingot_json_set_string(entry, "channel", name);
    json_object_set_new(entry, "hosts", json_array());
    json_array_append_new(channels, entry);
    return entry;
}

/* How far what the channels name has gone out to hosts. A registry of before has no rollouts. */
static gboolean add_rollouts(const char *where, json_t *channels, GError **error)
{
    gsize index;
    json_t *rollout;
    GError *problem = NULL;
    g_autoptr(json_t) rollouts = history_ask(where, "rollouts", NULL, &problem);
    if (problem != NULL && !remote_api_is_foreign(problem)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_clear_error(&problem);
    json_array_foreach(rollouts, index, rollout)
    {
        json_t *entry = find_channel(channels, member(rollout, "channel"));
        json_object_del(rollout, "channel");
        json_object_set(entry, "rollout", rollout);
    }
    return TRUE;
}

gboolean channel_hosts_add(const char *where, json_t *channels, GError **error)
{
    gsize index;
    json_t *entry, *host;
    g_autoptr(json_t) hosts = history_ask(where, "hosts", NULL, error);
    if (hosts == NULL) {
        return FALSE;
    }
    json_array_foreach(channels, index, entry)
    {
        json_object_set_new(entry, "hosts", json_array());
    }
    json_array_foreach(hosts, index, host)
    {
        json_t *channel = find_channel(channels, member(host, "channel"));
        const char *named = member(channel, "digest");
        if (named != NULL) {
            gboolean current =
                g_strcmp0(member(host, "result"), "done") == 0 && g_strcmp0(member(host, "digest"), named) == 0;
            json_object_set_new(host, "current", json_boolean(current));
        }
        json_object_del(host, "channel");
        json_array_append(json_object_get(channel, "hosts"), host);
    }
    return add_rollouts(where, channels, error);
}

/* Whether another host of the channel says that it is called the same. */
static gboolean shares_name(const json_t *channel, const json_t *host)
{
    gsize index;
    const json_t *other;
    const json_t *hosts = json_object_get(channel, "hosts");
    json_array_foreach(hosts, index, other)
    {
        if (g_strcmp0(member(other, "host"), member(host, "host")) == 0 &&
            g_strcmp0(member(other, "id"), member(host, "id")) != 0) {
            return TRUE;
        }
    }
    return FALSE;
}

/* A line of the table: the host's members with those of its channel. */
static json_t *line_of(const json_t *channel, const json_t *host)
{
    json_t *line = host == NULL ? json_object() : json_copy((json_t *)host);
    const char *id = member(host, "id");
    ingot_json_set_string(line, "channel", member(channel, "channel"));
    if (id != NULL && shares_name(channel, host)) {
        g_autofree char *both = g_strdup_printf("%s/%.*s", member(host, "host"), ID_SHOWN, id);
        ingot_json_set_string(line, "host", both);
    }
    if (g_strcmp0(member(host, "digest"), member(channel, "digest")) == 0) {
        ingot_json_set_string(line, "version", member(channel, "version"));
    } else if (json_is_false(json_object_get(host, "current")) && g_strcmp0(member(host, "result"), "done") == 0) {
        ingot_json_set_string(line, "result", "behind");
    }
    return line;
}

void channel_hosts_print(const json_t *channels)
{
    static const char *const columns[] = {"channel", "host",  "group", "version", "digest",
                                          "result",  "since", "seen",  "failure", NULL};
    gsize c, h;
    const json_t *channel, *host;
    g_autoptr(json_t) lines = json_array();
    json_array_foreach(channels, c, channel)
    {
        const json_t *hosts = json_object_get(channel, "hosts");
        json_array_foreach(hosts, h, host)
        {
            json_array_append_new(lines, line_of(channel, host));
        }
        if (json_array_size(hosts) == 0) {
            json_array_append_new(lines, line_of(channel, NULL));
        }
    }
    history_print(lines, columns);
    json_array_foreach(channels, c, channel)
    {
        const char *why = member(json_object_get(channel, "rollout"), "why");
        g_autofree char *words = why == NULL ? NULL : ingot_text_line(why);
        if (words != NULL) {
            fprintf(stderr, "%s: %s\n", member(channel, "channel"), words);
        }
    }
}
