/* What a request of Vagrant Cloud's API says in its body. */
#pragma once

#include "base/json.h"
#include "server/http/request.h"
#include "server/storage/storage.h"

/* The body's members: under the word that the API has for the thing, or on their own, as the older clients have them.
 * NULL: it is no object. Free it. */
json_t *box_body(const Request *request, const char *word, GError **error);
/* A member that is a text, or null, or not there (NULL). FALSE: it is something else. */
gboolean box_body_text(const json_t *body, const char *key, const json_t **value, GError **error);
/* The same of true and false. */
gboolean box_body_flag(const json_t *body, const char *key, const json_t **value, GError **error);

/* Who asks, and the reason that the request gives (Ingot-Reason). It lives as long as the request. */
StorageActor box_actor(const Request *request);
