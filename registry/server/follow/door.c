#include "server/follow/door.h"

#include <ingot/error.h>
#include <ingot/reference.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "server/auth/access.h"
#include "server/auth/challenge.h"
#include "server/follow/feed.h"
#include "server/follow/hosts.h"
#include "server/follow/hosttarget.h"
#include "server/http/request.h"
#include "server/server.h"
#include "server/storage/channels.h"
#include "server/storage/moves.h"
#include "server/storage/storage.h"

enum { FOLLOW_EVENTS, FOLLOW_HOSTS };

#define REPORT_MAX 4096u  /* bytes */
#define REPORT_VALUES 64u /* values in it */
#define PATTERN_MAX 512u  /* bytes */

static char *door_scope(const Request *request, const RouteMatch *match)
{
    const char *name = match->kind == FOLLOW_EVENTS ? request_query(request, "name") : match->name;
    return challenge_scope(name != NULL && ingot_name_check(name, NULL) ? name : NULL, ACCESS_PULL);
}

/* What each event is looked at for (feed.h) is not asked here; a name alone can be refused at once. */
static enum MHD_Result check_events(Request *request, const RouteMatch *match)
{
    const char *name = request_query(request, "name");
    (void)match;
    if (name != NULL && strlen(name) > PATTERN_MAX) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "NAME_INVALID", "?name= is too long");
    }
    gboolean single = name != NULL && ingot_name_check(name, NULL);
    if (single ? !access_may(request, ACCESS_PULL, name) : !access_is_known(request)) {
        return access_refuse(request, single ? name : NULL, ACCESS_PULL);
    }
    return MHD_YES;
}

static enum MHD_Result answer_events(Request *request, const RouteMatch *match)
{
    guint64 number = 0;
    const char *after = request_query(request, "after");
    (void)match;
    if (after != NULL && !g_ascii_string_to_unsigned(after, 10, 0, G_MAXINT64, &number, NULL)) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "UNSUPPORTED", "?after= is not the number of an event");
    }
    return feed_answer(request->server->feed, request, after == NULL ? NULL : &number, request_query(request, "name"));
}

static enum MHD_Result check_hosts(Request *request, const RouteMatch *match)
{
    g_autoptr(GError) error = NULL;
    if (!ingot_name_check(match->name, &error)) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "NAME_INVALID", error->message);
    }
    if (match->reference != NULL && !ingot_tag_check(match->reference, &error)) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "TAG_INVALID", error->message);
    }
    return access_may(request, ACCESS_PULL, match->name) ? MHD_YES : access_refuse(request, match->name, ACCESS_PULL);
}

/* Who reports is to be known: what nobody answers for, anybody could fill the disk with. */
static enum MHD_Result check_report(Request *request, const RouteMatch *match)
{
    enum MHD_Result result = check_hosts(request, match);
    return request->status != 0 || access_is_somebody(request) ? result
                                                               : access_refuse(request, match->name, ACCESS_PULL);
}

static gint64 door_now(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

/* It holds for this moment alone. */
static enum MHD_Result answer_json(Request *request, const json_t *json)
{
    char *text = ingot_json_canonical(json);
    g_autoptr(GBytes) bytes = g_bytes_new_take(text, strlen(text));
    return request_answer_bytes(request, MHD_HTTP_OK, "application/json", bytes, "Cache-Control",
                                access_keep_asking(request), NULL);
}

static enum MHD_Result list_hosts(Request *request, const RouteMatch *match)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(json_t) list = hosts_list(request->server->ledger, match->name, match->reference, door_now(), &error);
    return list == NULL ? request_fail(request, "NAME_UNKNOWN", error) : answer_json(request, list);
}

/* A failure belongs to the move that the channel made last; those of the ones before count no more. */
static gboolean find_move(const Request *request, HostReport *report, GError **error)
{
    g_autoptr(GArray) moves = storage_moves(request->server->storage, report->name, report->channel, 0, 1, error);
    report->move = moves == NULL || moves->len == 0 ? 0 : g_array_index(moves, StorageMove, 0).number;
    return moves != NULL;
}

static enum MHD_Result take_report(Request *request, const RouteMatch *match)
{
    g_autoptr(GError) error = NULL;
    gsize room = REPORT_VALUES;
    HostReport report = {.name = match->name, .channel = match->reference, .user = access_user(request)};
    IngotDigest named;
    g_autoptr(json_t) json =
        ingot_json_parse_within(request->body->data, request->body->len, "the report", &room, &error);
    if (json == NULL || !hosts_read(json, &report, &error)) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "UNSUPPORTED", error->message);
    }
    if (!storage_find_tag(request->server->storage, match->name, match->reference, &named, &error)) {
        return request_fail(request, "CHANNEL_UNKNOWN", error);
    }
    return find_move(request, &report, &error) && hosts_put(request->server->ledger, &report, door_now(), &error)
               ? request_answer(request, MHD_HTTP_OK, "application/json", "{}", 2, NULL)
               : request_fail(request, "NAME_UNKNOWN", error);
}

/* --- rollouts --- */

static const char *query_text(const Request *request, const char *word)
{
    const char *text = request_query(request, word);
    return text == NULL ? "" : text;
}

/* By the query. *has: it runs something. */
static gboolean read_host(const Request *request, const char *name, RolloutHost *host, gboolean *has, IngotDigest *runs,
                          GError **error)
{
    const char *digest = query_text(request, "runs"), *wariness = request_query(request, "wariness");
    *host = (RolloutHost){.name = name,
                          .host = query_text(request, "host"),
                          .id = query_text(request, "id"),
                          .group = query_text(request, "group"),
                          .wariness = -1};
    *has = *digest != '\0';
    if (*host->host == '\0') {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "?host= must name a host");
        return FALSE;
    }
    return (wariness == NULL || ingot_text_parse_fraction(wariness, &host->wariness, error)) &&
           (!*has || ingot_digest_parse(digest, runs, error));
}

static enum MHD_Result answer_target(Request *request, const RouteMatch *match)
{
    RolloutHost host;
    gboolean has;
    IngotDigest runs;
    g_autoptr(GError) error = NULL;
    if (!read_host(request, match->name, &host, &has, &runs, &error)) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "UNSUPPORTED", error->message);
    }
    g_autoptr(HostTarget) target = host_target_new(request->server->storage, request->server->ledger, match->name,
                                                   match->reference, door_now(), &error);
    g_autoptr(json_t) told = target == NULL ? NULL : host_target_tell(target, &host, has ? &runs : NULL, &error);
    return told == NULL ? request_fail(request, "CHANNEL_UNKNOWN", error) : answer_json(request, told);
}

/* Of a channel that has one and names something. */
static gboolean add_rollout(Request *request, const char *name, const PipelineChannel *channel, json_t *list,
                            GError **error)
{
    GError *problem = NULL;
    g_autoptr(HostTarget) target = channel->rollout == NULL
                                       ? NULL
                                       : host_target_new(request->server->storage, request->server->ledger, name,
                                                         channel->name, door_now(), &problem);
    json_t *told = target == NULL ? NULL : host_target_rollout(target, &problem);
    if (told != NULL) {
        json_array_append_new(list, told);
    }
    if (problem != NULL && !g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_clear_error(&problem);
    return TRUE;
}

static enum MHD_Result list_rollouts(Request *request, const RouteMatch *match)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Pipeline) pipeline = storage_pipeline(request->server->storage, match->name);
    g_autoptr(json_t) list = json_array();
    for (guint i = 0; i < pipeline->channels->len; i++) {
        if (!add_rollout(request, match->name, g_ptr_array_index(pipeline->channels, i), list, &error)) {
            return request_fail(request, "NAME_UNKNOWN", error);
        }
    }
    return answer_json(request, list);
}

#define OF_HOSTS .kind = FOLLOW_HOSTS, .scope = door_scope
#define ASKS .methods = "GET", .pool = POOL_READ, .check = check_hosts
#define LISTS ASKS, .name = "hosts", .answer = list_hosts
const Route follow_routes[] = {
    {.methods = "GET",
     .pattern = "/api/v1/events",
     .name = "events",
     .kind = FOLLOW_EVENTS,
     .pool = POOL_LOOP,
     .check = check_events,
     .scope = door_scope,
     .answer = answer_events},
    {LISTS, OF_HOSTS, .pattern = "/api/v1/{name}/hosts"},
    {LISTS, OF_HOSTS, .pattern = "/api/v1/{name}/hosts/{reference}"},
    {OF_HOSTS, .methods = "POST", .pattern = "/api/v1/{name}/hosts/{reference}", .name = "report", .pool = POOL_WRITE,
     .check = check_report, .body_max = REPORT_MAX, .answer = take_report},
    {ASKS, OF_HOSTS, .pattern = "/api/v1/{name}/target/{reference}", .name = "target", .answer = answer_target},
    {ASKS, OF_HOSTS, .pattern = "/api/v1/{name}/rollouts", .name = "rollouts", .answer = list_rollouts},
    {0},
};
