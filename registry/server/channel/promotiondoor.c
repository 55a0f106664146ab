/* The door of promotions: promote, roll back, approve and withdraw that. */
#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "server/auth/access.h"
#include "server/auth/challenge.h"
#include "server/channel/doors.h"
#include "server/channel/promotion.h"
#include "server/server.h"
#include "server/storage/channels.h"
#include "server/storage/records.h"

#define BODY_MAX (16u << 10) /* bytes */
#define KEY_MAX 64u          /* of a request */

static enum MHD_Result check_promoter(Request *request, const RouteMatch *match)
{
    enum MHD_Result result = MHD_YES;
    channel_door_open(request, match, ACCESS_PROMOTE, &result);
    return result;
}

static char *promoter_scope(const Request *request, const RouteMatch *match)
{
    (void)request;
    return challenge_scope(match->name, ACCESS_PROMOTE);
}

/* A gate may ask others, and wait for them; so may one of a pipeline that is not in memory yet. */
static Pool choose_pool(const Request *request, const RouteMatch *match)
{
    g_autoptr(Pipeline) pipeline = storage_recall_pipeline(request->server->storage, match->name);
    if (pipeline == NULL) {
        return POOL_UPSTREAM;
    }
    const PipelineChannel *channel = pipeline_channel(pipeline, match->reference);
    return channel == NULL || json_array_size(channel->gates) == 0 ? POOL_WRITE : POOL_UPSTREAM;
}

static enum MHD_Result refuse_promotion(Request *request, const GError *error)
{
    switch (error->domain == INGOT_ERROR ? error->code : INGOT_ERROR_FAILED) {
    case INGOT_ERROR_INVALID:
        return request_refuse(request, MHD_HTTP_NOT_FOUND, "CHANNEL_UNKNOWN", error->message);
    case INGOT_ERROR_EXISTS:
        return request_refuse(request, MHD_HTTP_PRECONDITION_FAILED, "DENIED", error->message);
    case INGOT_ERROR_LIMIT:
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "REQUEST_INVALID", error->message);
    default:
        return request_fail(request, "MANIFEST_UNKNOWN", error);
    }
}

static enum MHD_Result answer_result(Request *request, const PromotionResult *result, gboolean forced)
{
    g_autofree char *digest = ingot_digest_to_text(&result->digest);
    g_autoptr(json_t) body =
        ingot_json_pack("{s:b, s:s, s:O}", "moved", (int)result->moved, "digest", digest, "gates", result->gates);
    return channel_door_answer(request, result->refused && !forced ? MHD_HTTP_CONFLICT : MHD_HTTP_OK, body);
}

static const char *text_of(const json_t *body, const char *member)
{
    return json_string_value(json_object_get(body, member));
}

/* Whether who forces may, and says why; answers itself where not. */
static gboolean may_force(Request *request, const RouteMatch *match, const char *reason, enum MHD_Result *result)
{
    if (!access_may(request, ACCESS_ADMIN, match->name)) {
        *result = access_refuse(request, match->name, ACCESS_ADMIN);
        return FALSE;
    }
    if (reason == NULL || *reason == '\0') {
        *result = request_refuse(request, MHD_HTTP_BAD_REQUEST, "REQUEST_INVALID",
                                 "a forced promotion needs a reason: it stays in the log for ever");
        return FALSE;
    }
    return TRUE;
}

static gboolean key_is_plain(const char *key)
{
    gsize size = strlen(key);
    for (gsize i = 0; i < size; i++) {
        if (!g_ascii_isgraph(key[i])) {
            return FALSE;
        }
    }
    return size > 0 && size <= KEY_MAX;
}

/* Who promotes, with the request's key (NULL: it has none). Answers itself where that is wrong: FALSE. */
static gboolean find_promoter(Request *request, const char *reason, StorageActor *actor, enum MHD_Result *result)
{
    const char *key = request_header(request, "Idempotency-Key");
    if (key != NULL && !key_is_plain(key)) {
        *result = request_refuse(request, MHD_HTTP_BAD_REQUEST, "REQUEST_INVALID",
                                 "Idempotency-Key must be 1 to 64 letters, digits or signs, without spaces");
        return FALSE;
    }
    *actor = channel_door_actor(request, reason);
    actor->request = key;
    return TRUE;
}

static enum MHD_Result run_promotion(Request *request, const RouteMatch *match, const json_t *body)
{
    g_autoptr(GError) error = NULL;
    g_auto(PromotionResult) result = {0};
    IngotDigest expected = {0};
    const char *expects = text_of(body, "expected");
    StorageActor actor;
    const Promotion promotion = {.storage = request->server->storage,
                                 .name = match->name,
                                 .channel = match->reference,
                                 .from = text_of(body, "from"),
                                 .actor = &actor,
                                 .ledger = request->server->ledger,
                                 .accounts = request->server->access->accounts,
                                 .through = request->server->through,
                                 .expected = expects == NULL ? NULL : &expected,
                                 .dry_run = json_is_true(json_object_get(body, "dry_run")),
                                 .force = json_is_true(json_object_get(body, "force"))};
    enum MHD_Result refusal;
    if (!find_promoter(request, text_of(body, "reason"), &actor, &refusal)) {
        return refusal;
    }
    if (promotion.from == NULL) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "REQUEST_INVALID",
                              "'from' is missing: a version, a tag, a channel or a digest");
    }
    if (promotion.force && !may_force(request, match, actor.reason, &refusal)) {
        return refusal;
    }
    if (expects != NULL && !ingot_digest_parse(expects, &expected, &error)) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "DIGEST_INVALID", error->message);
    }
    return promotion_run(&promotion, &result, &error) ? answer_result(request, &result, promotion.force)
                                                      : refuse_promotion(request, error);
}

static enum MHD_Result answer_promote(Request *request, const RouteMatch *match)
{
    static const ChannelMember members[] = {{"from", JSON_STRING},
                                            {"reason", JSON_STRING},
                                            {"expected", JSON_STRING},
                                            {"dry_run", JSON_TRUE},
                                            {"force", JSON_TRUE}};
    enum MHD_Result refusal;
    g_autoptr(json_t) body = channel_door_body(request, members, G_N_ELEMENTS(members), &refusal);
    return body == NULL ? refusal : run_promotion(request, match, body);
}

static enum MHD_Result answer_rollback(Request *request, const RouteMatch *match)
{
    static const ChannelMember members[] = {{"to", JSON_STRING}, {"reason", JSON_STRING}};
    g_autoptr(GError) error = NULL;
    g_auto(PromotionResult) result = {0};
    StorageActor actor;
    enum MHD_Result refusal;
    g_autoptr(json_t) body = channel_door_body(request, members, G_N_ELEMENTS(members), &refusal);
    if (body == NULL || !find_promoter(request, text_of(body, "reason"), &actor, &refusal)) {
        return refusal;
    }
    const Promotion promotion = {.storage = request->server->storage,
                                 .name = match->name,
                                 .channel = match->reference,
                                 .from = text_of(body, "to"),
                                 .actor = &actor,
                                 .ledger = request->server->ledger,
                                 .accounts = request->server->access->accounts,
                                 .through = request->server->through};
    return promotion_roll_back(&promotion, &result, &error) ? answer_result(request, &result, FALSE)
                                                            : refuse_promotion(request, error);
}

/* Free it. */
static char *approval_key(const Request *request, const RouteMatch *match, const IngotDigest *digest)
{
    g_autofree char *text = ingot_digest_to_text(digest);
    return g_strdup_printf("%s %s %s", match->reference, text, access_user(request));
}

/* NULL: an error. */
static json_t *approval_new(const Request *request, GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(User) user = users_find(request->server->access->accounts, access_user(request), &problem);
    if (user == NULL && !g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return NULL;
    }
    json_t *record = json_object();
    if (user != NULL) {
        json_object_set_new(record, APPROVAL_USER, json_integer(user->created));
    }
    return record;
}

/* One person's, for that digest: another approval by the same one takes its place. */
static gboolean put_approval(Request *request, const RouteMatch *match, const json_t *body, GError **error)
{
    Storage *storage = request->server->storage;
    IngotDigest digest;
    const StorageActor actor = channel_door_actor(request, text_of(body, "reason"));
    if (!promotion_check_channel(storage, match->name, match->reference, error) ||
        !promotion_find(storage, match->name, text_of(body, "digest"), &digest, error)) {
        return FALSE;
    }
    g_autofree char *key = approval_key(request, match, &digest);
    g_autoptr(json_t) record = approval_new(request, error);
    return record != NULL && storage_put_record(storage, &actor, RECORD_APPROVAL, match->name, key, record, error);
}

/* Whoever has approved takes it back, whatever became of the image and the pipeline since. */
static gboolean withdraw_approval(Request *request, const RouteMatch *match, const json_t *body, GError **error)
{
    Storage *storage = request->server->storage;
    IngotDigest digest;
    GError *problem = NULL;
    const StorageActor actor = channel_door_actor(request, text_of(body, "reason"));
    if (!storage_digest(storage, text_of(body, "digest"), &digest, error)) {
        return FALSE;
    }
    g_autofree char *key = approval_key(request, match, &digest);
    g_autoptr(json_t) record = storage_record(storage, RECORD_APPROVAL, match->name, key, &problem);
    if (record != NULL) {
        return storage_put_record(storage, &actor, RECORD_APPROVAL, match->name, key, NULL, error);
    }
    if (problem == NULL) {
        g_set_error(&problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s:%s has no approval by %s of that digest",
                    match->name, match->reference, access_user(request));
    }
    g_propagate_error(error, problem);
    return FALSE;
}

static enum MHD_Result answer_approve(Request *request, const RouteMatch *match)
{
    static const ChannelMember members[] = {{"digest", JSON_STRING}, {"reason", JSON_STRING}, {"withdraw", JSON_TRUE}};
    g_autoptr(GError) error = NULL;
    enum MHD_Result refusal;
    g_autoptr(json_t) body = channel_door_body(request, members, G_N_ELEMENTS(members), &refusal);
    if (body == NULL) {
        return refusal;
    }
    const char *digest = text_of(body, "digest");
    if (digest == NULL || strchr(digest, ':') == NULL) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "DIGEST_INVALID",
                              "'digest' is missing: what is approved is one digest, whatever a tag names later");
    }
    if (access_may_all(request)) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "REQUEST_INVALID",
                              "an approval is a user's, and this registry has no users: `ingotd user add` adds one");
    }
    gboolean withdraws = json_is_true(json_object_get(body, "withdraw"));
    if (!(withdraws ? withdraw_approval : put_approval)(request, match, body, &error)) {
        return refuse_promotion(request, error);
    }
    g_autoptr(json_t) answer =
        ingot_json_pack("{s:s, s:s, s:s, s:s, s:b}", "channel", match->reference, "digest", digest, "by",
                        access_user(request), "name", match->name, "withdrawn", (int)withdraws);
    return channel_door_answer(request, MHD_HTTP_OK, answer);
}

#define CHANGES                                                                                                        \
    .methods = "POST", .pool = POOL_WRITE, .check = check_promoter, .scope = promoter_scope, .body_max = BODY_MAX
const Route promotion_routes[] = {
    {CHANGES, .pattern = "/api/v1/{name}/channels/{reference}", .name = "promote", .choose = choose_pool,
     .answer = answer_promote},
    {CHANGES, .pattern = "/api/v1/{name}/rollback/{reference}", .name = "rollback", .choose = choose_pool,
     .answer = answer_rollback},
    {CHANGES, .pattern = "/api/v1/{name}/approvals/{reference}", .name = "approve", .answer = answer_approve},
    {0},
};
