#include "server/boxes/boxbody.h"

#include <ingot/error.h>

#include "server/channel/doors.h"

#define BODY_VALUES 256u

StorageActor box_actor(const Request *request)
{
    return channel_door_actor(request, request_header(request, "Ingot-Reason"));
}

json_t *box_body(const Request *request, const char *word, GError **error)
{
    gsize room = BODY_VALUES;
    if (request->body->len == 0) {
        return json_object();
    }
    g_autoptr(json_t) root = ingot_json_parse_within(request->body->data, request->body->len, "the body", &room, error);
    json_t *inner = json_object_get(root, word);
    if (root != NULL && !json_is_object(root)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "the body is no JSON object");
        return NULL;
    }
    return json_is_object(inner) ? json_incref(inner) : g_steal_pointer(&root);
}

gboolean box_body_text(const json_t *body, const char *key, const json_t **value, GError **error)
{
    *value = json_object_get(body, key);
    if (*value == NULL || json_is_string(*value) || json_is_null(*value)) {
        return TRUE;
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "'%s' is no text", key);
    return FALSE;
}

gboolean box_body_flag(const json_t *body, const char *key, const json_t **value, GError **error)
{
    *value = json_object_get(body, key);
    if (*value == NULL || json_is_boolean(*value) || json_is_null(*value)) {
        return TRUE;
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "'%s' is neither true nor false", key);
    return FALSE;
}
