/* The door of lifecycles: what is said of an image, and what stands on it. */
#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "server/auth/access.h"
#include "server/channel/announce.h"
#include "server/channel/doors.h"
#include "server/server.h"
#include "server/storage/bases.h"
#include "server/storage/states.h"

#define BODY_MAX (16u << 10)
#define DESCENDANTS_MOST 10000

/* The digest that the path names, of a manifest of the repository. Answers itself where it is none: FALSE. */
static gboolean find_digest(Request *request, const RouteMatch *match, IngotDigest *digest, enum MHD_Result *result)
{
    g_autoptr(GError) error = NULL;
    Storage *storage = request->server->storage;
    if (!storage_digest(storage, match->reference, digest, &error)) {
        *result = request_refuse(request, MHD_HTTP_BAD_REQUEST, "DIGEST_INVALID", error->message);
        return FALSE;
    }
    if (!storage_has_manifest(storage, match->name, digest)) {
        g_autofree char *message = g_strdup_printf("%s has no image %s", match->name, match->reference);
        *result = request_refuse(request, MHD_HTTP_NOT_FOUND, "MANIFEST_UNKNOWN", message);
        return FALSE;
    }
    return TRUE;
}

/* What counts now: as it was said here, or there. */
static json_t *answer_word(const Request *request, const json_t *states, const char *name, const IngotDigest *digest,
                           gint64 now)
{
    const char *where;
    const json_t *said = state_of_image(states, now, &where);
    return where == NULL ? json_incref((json_t *)said) : state_word(states, name, digest, now, access_sees, request);
}

/* What counts now, what will, and all that was ever said of it here. */
static enum MHD_Result answer_states(Request *request, const char *name, const IngotDigest *digest)
{
    GError *problem = NULL;
    g_autofree char *text = ingot_digest_to_text(digest);
    g_autoptr(json_t) states = storage_states_of(request->server->storage, name, digest, &problem);
    if (problem != NULL) {
        enum MHD_Result result = request_fail(request, "NAME_UNKNOWN", problem);
        g_error_free(problem);
        return result;
    }
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    const json_t *body = json_object_get(states, "own"), *all = json_object_get(body, "said");
    g_autoptr(json_t) said = answer_word(request, states, name, digest, now);
    g_autoptr(json_t) answer =
        json_pack("{s:s, s:s, s:s, s:O*, s:O*, s:o}", "name", name, "digest", text, "state",
                  lifecycle_word(lifecycle_of(said)), "said", said, "next", state_next(body, now), "all",
                  json_is_array(all) ? json_incref((json_t *)all) : json_array());
    return channel_door_answer(request, MHD_HTTP_OK, answer);
}

static enum MHD_Result lifecycle_get(Request *request, const RouteMatch *match)
{
    enum MHD_Result result = MHD_YES;
    IngotDigest digest;
    return find_digest(request, match, &digest, &result) ? answer_states(request, match->name, &digest) : result;
}

/* What the body wants to be said; NULL: INVALID. */
static json_t *read_wish(const Request *request, const json_t *body, GError **error)
{
    Lifecycle state;
    gint64 now = g_get_real_time() / G_USEC_PER_SEC, from = now;
    const char *word = json_string_value(json_object_get(body, "state"));
    const char *reason = json_string_value(json_object_get(body, "reason"));
    const char *at = json_string_value(json_object_get(body, "at")), *user = access_user(request);
    if (!lifecycle_parse(word == NULL ? "" : word, &state, error) ||
        (reason != NULL && !lifecycle_check_reason(reason, error)) ||
        (at != NULL && !lifecycle_date(at, &from, error))) {
        return NULL;
    }
    if (state == LIFECYCLE_REVOKED && (reason == NULL || *reason == '\0')) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "a revocation needs a reason");
        return NULL;
    }
    json_t *said = lifecycle_say(state, reason, strcmp(user, "-") == 0 ? NULL : user, now, MAX(from, now));
    json_object_set_new(said, "everywhere", json_boolean(access_may_everywhere(request, ACCESS_DELETE | ACCESS_ADMIN)));
    return said;
}

static enum MHD_Result lifecycle_put(Request *request, const RouteMatch *match)
{
    static const ChannelMember members[] = {{"state", JSON_STRING}, {"reason", JSON_STRING}, {"at", JSON_STRING}};
    enum MHD_Result result = MHD_YES;
    IngotDigest digest;
    g_autoptr(GError) error = NULL;
    g_autoptr(json_t) body = channel_door_body(request, members, G_N_ELEMENTS(members), &result);
    if (body == NULL || !find_digest(request, match, &digest, &result)) {
        return result;
    }
    g_autoptr(json_t) said = read_wish(request, body, &error);
    if (said == NULL) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "REQUEST_INVALID", error->message);
    }
    const StorageActor actor = channel_door_actor(request, json_string_value(json_object_get(body, "reason")));
    return state_say(request->server->storage, &actor, match->name, &digest, said, &error)
               ? answer_states(request, match->name, &digest)
               : request_fail(request, "NAME_UNKNOWN", error);
}

/* Those alone that the caller may pull: it hears of no other repository. */
static json_t *describe_descendants(const Request *request, const GArray *all)
{
    json_t *list = json_array();
    for (guint i = 0; i < all->len; i++) {
        const StorageDescendant *one = &g_array_index(all, StorageDescendant, i);
        if (!access_may(request, ACCESS_PULL, one->name)) {
            continue;
        }
        g_autofree char *digest = ingot_digest_to_text(&one->digest), *base = ingot_digest_to_text(&one->base);
        g_autoptr(json_t) tags = json_array();
        for (guint j = 0; one->tags[j] != NULL; j++) {
            json_array_append_new(tags, json_string(one->tags[j]));
        }
        json_array_append_new(list, ingot_json_pack("{s:s, s:s, s:s, s:i, s:O}", "name", one->name, "digest", digest,
                                                    "base", base, "depth", (int)one->depth, "tags", tags));
    }
    return list;
}

static enum MHD_Result descendants_get(Request *request, const RouteMatch *match)
{
    enum MHD_Result result = MHD_YES;
    IngotDigest digest;
    g_autoptr(GError) error = NULL;
    if (!find_digest(request, match, &digest, &result)) {
        return result;
    }
    g_autoptr(GArray) all = storage_descendants(request->server->storage, &digest, DESCENDANTS_MOST, &error);
    if (all == NULL) {
        return request_fail(request, "NAME_UNKNOWN", error);
    }
    g_autoptr(json_t) list = describe_descendants(request, all);
    return channel_door_answer(request, MHD_HTTP_OK, list);
}

static enum MHD_Result check_writer(Request *request, const RouteMatch *match)
{
    enum MHD_Result result = MHD_YES;
    channel_door_open(request, match, ACCESS_DELETE | ACCESS_ADMIN, &result);
    return result;
}

const Route lifecycle_routes[] = {
    {.methods = "GET, HEAD",
     .pattern = "/api/v1/{name}/lifecycle/{reference}",
     .name = "lifecycle",
     .pool = POOL_READ,
     .check = channel_door_reads,
     .answer = lifecycle_get},
    {.methods = "PUT",
     .pattern = "/api/v1/{name}/lifecycle/{reference}",
     .name = "lifecycle",
     .pool = POOL_WRITE,
     .body_max = BODY_MAX,
     .check = check_writer,
     .answer = lifecycle_put},
    {.methods = "GET, HEAD",
     .pattern = "/api/v1/{name}/descendants/{reference}",
     .name = "descendants",
     .pool = POOL_SLOW,
     .check = channel_door_reads,
     .answer = descendants_get},
    {0},
};
