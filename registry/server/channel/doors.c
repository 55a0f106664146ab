#include "server/channel/doors.h"

#include <ingot/reference.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "server/auth/access.h"
#include "server/auth/challenge.h"
#include "server/http/client.h"

gboolean channel_door_open(Request *request, const RouteMatch *match, guint right, enum MHD_Result *result)
{
    g_autoptr(GError) error = NULL;
    if (!ingot_name_check(match->name, &error)) {
        *result = request_refuse(request, MHD_HTTP_BAD_REQUEST, "NAME_INVALID", error->message);
        return FALSE;
    }
    if ((access_rights(request, match->name) & right) == 0) {
        *result = access_refuse(request, match->name, right);
        return FALSE;
    }
    return TRUE;
}

enum MHD_Result channel_door_reads(Request *request, const RouteMatch *match)
{
    enum MHD_Result result = MHD_YES;
    channel_door_open(request, match, ACCESS_PULL, &result);
    return result;
}

char *channel_door_read_scope(const Request *request, const RouteMatch *match)
{
    (void)request;
    return challenge_scope(match->name, ACCESS_PULL);
}

StorageActor channel_door_actor(const Request *request, const char *reason)
{
    const char *user = access_user(request);
    StorageActor actor = {.name = strcmp(user, "-") == 0 ? NULL : user, .reason = reason};
    client_write_address(request, actor.from, sizeof actor.from);
    return actor;
}

/* NULL: the member may be there, and is what it should be; else what is wrong. Free it. */
static char *member_problem(const char *key, const json_t *value, const ChannelMember *members, guint count)
{
    g_autofree const char **names = g_new0(const char *, count + 1);
    for (guint i = 0; i < count; i++) {
        names[i] = members[i].name;
        if (strcmp(key, members[i].name) == 0) {
            gboolean right =
                members[i].type == JSON_TRUE ? json_is_boolean(value) : json_typeof(value) == members[i].type;
            return right || json_is_null(value)
                       ? NULL
                       : g_strdup_printf("'%s' must be %s", key,
                                         members[i].type == JSON_TRUE ? "true or false" : "a text");
        }
    }
    const char *nearest = ingot_text_nearest(key, names);
    return nearest == NULL ? g_strdup_printf("unknown member '%s'", key)
                           : g_strdup_printf("unknown member '%s' (did you mean '%s'?)", key, nearest);
}

json_t *channel_door_body(Request *request, const ChannelMember *members, guint count, enum MHD_Result *result)
{
    g_autoptr(GError) error = NULL;
    const char *key;
    json_t *value;
    if (request->body == NULL || request->body->len == 0) {
        return json_object();
    }
    g_autoptr(json_t) body = ingot_json_parse(request->body->data, request->body->len, "the request", &error);
    if (!json_is_object(body)) {
        *result = request_refuse(request, MHD_HTTP_BAD_REQUEST, "REQUEST_INVALID",
                                 error == NULL ? "the request must be a JSON object" : error->message);
        return NULL;
    }
    json_object_foreach(body, key, value)
    {
        g_autofree char *problem = member_problem(key, value, members, count);
        if (problem != NULL) {
            *result = request_refuse(request, MHD_HTTP_BAD_REQUEST, "REQUEST_INVALID", problem);
            return NULL;
        }
    }
    return g_steal_pointer(&body);
}

enum MHD_Result channel_door_answer(Request *request, guint status, const json_t *body)
{
    g_autofree char *text = ingot_json_pretty(body);
    return request_answer(request, status, "application/json", text, strlen(text), "Cache-Control",
                          access_keep_asking(request), NULL);
}
