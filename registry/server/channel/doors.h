/* The doors of channels: what Ingot's own API (/api/v1/) says of promotions and pipelines. Each is a table of routes.
 */
#pragma once

#include <jansson.h>

#include "server/http/request.h"
#include "server/storage/storage.h"

extern const Route tell_routes[], promotion_routes[], pipeline_routes[], lifecycle_routes[];

/* For these doors: the name's grammar, and that the caller has the right (AccessRight) on it. Answers itself where not:
 * FALSE. */
gboolean channel_door_open(Request *request, const RouteMatch *match, guint right, enum MHD_Result *result);
/* The same as a route's check, and the scope of a token for it: of whoever may pull. */
enum MHD_Result channel_door_reads(Request *request, const RouteMatch *match);
char *channel_door_read_scope(const Request *request, const RouteMatch *match);
/* Who asks, for the log of events; reason may be NULL. It lives as long as both. */
StorageActor channel_door_actor(const Request *request, const char *reason);
/* The request's body as a JSON object with none but these members, each of its type (JSON_TRUE: a boolean); an empty
 * body is an empty object. NULL: it answered itself. */
typedef struct {
    const char *name;
    json_type type;
} ChannelMember;
json_t *channel_door_body(Request *request, const ChannelMember *members, guint count, enum MHD_Result *result);
enum MHD_Result channel_door_answer(Request *request, guint status, const json_t *body);
