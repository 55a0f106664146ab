#include "server/channel/promotion.h"

#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "server/channel/announce.h"
#include "server/channel/gate.h"
#include "server/channel/gateevidence.h"
#include "server/follow/hosttarget.h"
#include "server/mirror/wholes.h"
#include "server/storage/channels.h"
#include "server/storage/moves.h"
#include "server/storage/movetag.h"

#define MOVES_LOOKED_AT 10000 /* of one channel, when a rollback looks for what it named before */
#define REPEATS_LOOKED_AT 100 /* moves, when a request may be a repetition */

void promotion_result_clear(PromotionResult *result)
{
    json_decref(result->gates);
}

/* --- what is meant --- */

/* "team/web has no channel 'prd' (did you mean 'prod'?): it has dev, test, prod" */
static gboolean lacks_word(GError **error, IngotError code, const char *name, const char *noun, const char *word,
                           const char *const *words)
{
    const char *nearest = ingot_text_nearest(word, words);
    g_autofree char *hint = nearest == NULL ? g_strdup("") : g_strdup_printf("did you mean '%s'?", nearest);
    g_autofree char *all = g_strv_length((char **)words) > 20 ? g_strdup("") : g_strjoinv(", ", (char **)words);
    const char *has = *all == '\0' ? "" : *hint == '\0' ? "it has " : " It has ";
    gboolean more = *hint != '\0' || *all != '\0';
    g_set_error(error, INGOT_ERROR, code, "%s has no %s '%s'%s%s%s%s%s", name, noun, word, more ? " (" : "", hint, has,
                all, more ? ")" : "");
    return FALSE;
}

gboolean promotion_find(Storage *storage, const char *name, const char *from, IngotDigest *digest, GError **error)
{
    if (strchr(from, ':') != NULL) {
        if (!storage_digest(storage, from, digest, error)) {
            return FALSE;
        }
        if (!storage_has_manifest(storage, name, digest)) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s has no image %s", name, from);
            return FALSE;
        }
        return TRUE;
    }
    GError *problem = NULL;
    if (storage_find_tag(storage, name, from, digest, &problem)) {
        return TRUE;
    }
    if (!g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_clear_error(&problem);
    g_auto(GStrv) tags = storage_tags(storage, name, &problem);
    if (tags == NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    return lacks_word(error, INGOT_ERROR_NOT_FOUND, name, "tag", from, (const char *const *)tags);
}

/* The channel of the pipeline; NULL: INVALID. */
static const PipelineChannel *find_channel(const Pipeline *pipeline, const char *name, const char *word, GError **error)
{
    const PipelineChannel *channel = pipeline_channel(pipeline, word);
    if (channel == NULL) {
        g_autofree const char **names = pipeline_names(pipeline);
        lacks_word(error, INGOT_ERROR_INVALID, name, "channel", word, (const char *const *)names);
    }
    return channel;
}

gboolean promotion_check_channel(Storage *storage, const char *name, const char *channel, GError **error)
{
    g_autoptr(Pipeline) pipeline = storage_pipeline(storage, name);
    return find_channel(pipeline, name, channel, error) != NULL;
}

/* What the channel names now; *found: it names something. */
static gboolean find_current(const Promotion *promotion, IngotDigest *digest, gboolean *found, GError **error)
{
    GError *problem = NULL;
    *found = storage_find_tag(promotion->storage, promotion->name, promotion->channel, digest, &problem);
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        g_clear_error(&problem);
    } else if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    return TRUE;
}

/* --- gates --- */

static void note_verdict(PromotionResult *result, const char *gate, const GateVerdict *verdict)
{
    json_t *entry = ingot_json_pack("{s:s, s:b}", "gate", gate, "passed", (int)verdict->passed);
    ingot_json_set_string(entry, "why", verdict->why);
    ingot_json_set_string(entry, "mend", verdict->mend);
    json_array_append_new(result->gates, entry);
    result->refused |= !verdict->passed;
}

/* The channel before: the digest must stand in one of them. */
static gboolean judge_from(const Promotion *promotion, const PipelineChannel *channel, PromotionResult *result)
{
    GateVerdict verdict = {0};
    g_autoptr(GString) names = g_string_new(NULL);
    for (guint i = 0; i < channel->from->len && !verdict.passed; i++) {
        const char *before = g_ptr_array_index(channel->from, i);
        IngotDigest stands;
        verdict.passed = storage_find_tag(promotion->storage, promotion->name, before, &stands, NULL) &&
                         ingot_digest_equal(&stands, &result->digest);
        g_string_append_printf(names, "%s%s", i == 0 ? "" : " or ", before);
    }
    g_autofree char *why = g_strdup_printf(
        verdict.passed ? "it stands in %s" : "it does not stand in %s",
        verdict.passed ? strrchr(names->str, ' ') == NULL ? names->str : strrchr(names->str, ' ') + 1 : names->str);
    g_autofree char *mend = verdict.passed ? NULL : g_strdup_printf("promote it to %s first", names->str);
    verdict.why = why;
    verdict.mend = mend;
    note_verdict(result, "from", &verdict);
    return TRUE;
}

/* What is withheld, or has in an index what is, goes nowhere, not back either, unless it is forced. */
static void judge_state(const Promotion *promotion, PromotionResult *result)
{
    g_autofree char *why = NULL;
    g_autoptr(GError) error = NULL;
    gboolean withheld =
        state_keeps_from_channels(promotion->storage, promotion->name, &result->digest, NULL, &why, &error);
    if (withheld || error != NULL) {
        const GateVerdict verdict = {.why = withheld ? why : error->message,
                                     .mend = (char *)"promote another image, or `ingot restore` this one"};
        note_verdict(result, "lifecycle", &verdict);
    }
}

/* What helps where a gate can't be asked. Free it. */
static char *mend_of_error(const GError *error)
{
    return g_strdup(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_LIMIT)
                        ? "remove from the registry what is attached to the image and not needed"
                    : g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID)
                        ? "apply a pipeline with settings for this gate that this server can read"
                        : "mend what is said here, and promote it again");
}

/* What is attached to the image where that is known elsewhere. */
typedef struct {
    const Promotion *promotion;
    const IngotDigest *image;
    gboolean listed; /* all of it is here, but for bytes */
} Attached;

/* The first gate that reads evidence has it listed. */
static gboolean attached_bring(const char *kind, gpointer user, GError **error)
{
    Attached *attached = user;
    const Promotion *promotion = attached->promotion;
    attached->listed =
        attached->listed || through_attached(promotion->through, promotion->name, attached->image, error);
    return attached->listed && through_contents(promotion->through, promotion->storage, promotion->name,
                                                attached->image, kind, EVIDENCE_MOST + 1, EVIDENCE_BUDGET, error);
}

/* A gate that can't be asked has not been passed. */
static void judge_gate(const Promotion *promotion, const Pipeline *pipeline, const PipelineChannel *channel,
                       const json_t *entry, Attached *attached, PromotionResult *result)
{
    const json_t *settings;
    const char *name = pipeline_gate(entry, &settings);
    const Gate *gate = gate_find(name);
    const GateCase its = {.storage = promotion->storage,
                          .name = promotion->name,
                          .channel = promotion->channel,
                          .digest = result->digest,
                          .caller = promotion->actor->name,
                          .now = g_get_real_time() / G_USEC_PER_SEC,
                          .from = channel->from,
                          .require = pipeline->require,
                          .ledger = promotion->ledger,
                          .accounts = promotion->accounts,
                          .bring = promotion->through == NULL ? NULL : attached_bring,
                          .bring_user = attached};
    GateVerdict verdict = {0};
    g_autoptr(GError) error = NULL;
    if (gate == NULL) {
        verdict.why = g_strdup("this server knows no such gate");
        verdict.mend = g_strdup("upgrade ingotd, or apply a pipeline without it");
    } else if (!gate->judge(&its, settings, &verdict, &error)) {
        verdict.passed = FALSE;
        g_free(verdict.why);
        g_free(verdict.mend);
        verdict.why = g_strdup_printf("it could not be asked: %s", error->message);
        verdict.mend = mend_of_error(error);
    }
    note_verdict(result, name, &verdict);
    g_free(verdict.why);
    g_free(verdict.mend);
}

static void judge_gates(const Promotion *promotion, const Pipeline *pipeline, const PipelineChannel *channel,
                        gboolean always_only, PromotionResult *result)
{
    Attached attached = {.promotion = promotion, .image = &result->digest};
    judge_state(promotion, result);
    if (!always_only && channel->from->len > 0) {
        judge_from(promotion, channel, result);
    }
    for (gsize i = 0; i < json_array_size(channel->gates); i++) {
        const json_t *settings, *entry = json_array_get(channel->gates, i);
        pipeline_gate(entry, &settings);
        if (!always_only || pipeline_gate_always(settings)) {
            judge_gate(promotion, pipeline, channel, entry, &attached, result);
        }
    }
}

/* --- moving --- */

/* Whether the request has moved the channel already; then the result is what it did. */
static gboolean find_repeated(const Promotion *promotion, PromotionResult *result, gboolean *repeated, GError **error)
{
    const char *request = promotion->actor->request;
    g_autoptr(GArray) moves = storage_moves(promotion->storage, promotion->name, promotion->channel, 0,
                                            request == NULL ? 0 : REPEATS_LOOKED_AT, error);
    *repeated = FALSE;
    for (guint i = 0; moves != NULL && i < moves->len && !*repeated; i++) {
        const StorageMove *move = &g_array_index(moves, StorageMove, i);
        if (!move->gone && g_strcmp0(move->request, request) == 0) {
            *repeated = result->moved = TRUE;
            result->refused = FALSE;
            result->digest = move->digest;
            json_decref(result->gates);
            result->gates = json_array();
        }
    }
    return moves != NULL;
}

/* Who moved the channel meanwhile, and to what. */
static gboolean tell_winner(const Promotion *promotion, GError **error)
{
    IngotDigest now;
    gboolean found = FALSE;
    g_autoptr(GArray) moves = storage_moves(promotion->storage, promotion->name, promotion->channel, 0, 1, NULL);
    const StorageMove *last = moves == NULL || moves->len == 0 ? NULL : &g_array_index(moves, StorageMove, 0);
    g_autofree char *text = find_current(promotion, &now, &found, NULL) && found ? ingot_digest_to_text(&now) : NULL;
    g_set_error(
        error, INGOT_ERROR, INGOT_ERROR_EXISTS,
        "%s:%s has moved meanwhile: %s%s%s it to %s%s%s; look at `ingot log`, and promote again if that is still"
        " right",
        promotion->name, promotion->channel, last == NULL || last->by == NULL ? "somebody" : last->by,
        last != NULL && last->gone ? " removed" : " moved", last != NULL && last->gone ? " " : "",
        text == NULL ? "nothing" : text, last == NULL || last->reason == NULL ? "" : ", because: ",
        last == NULL || last->reason == NULL ? "" : last->reason);
    return FALSE;
}

static gboolean expects(const Promotion *promotion, const IngotDigest *now)
{
    return promotion->expected == NULL || (now != NULL && ingot_digest_equal(now, promotion->expected));
}

/* What stood against the move, of which the storage has said that something did. */
static gboolean tell_change(const Promotion *promotion, const Pipeline *pipeline, GError **error)
{
    g_autoptr(Pipeline) now = storage_pipeline(promotion->storage, promotion->name);
    if (pipeline_equal(now, pipeline)) {
        return tell_winner(promotion, error);
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS,
                "another pipeline was applied to %s meanwhile; look at `ingot pipeline show`, and promote again",
                promotion->name);
    return FALSE;
}

static gboolean move_channel(const Promotion *promotion, const Pipeline *pipeline, const IngotDigest *now,
                             const char *how, PromotionResult *result, GError **error)
{
    gboolean forced = promotion->force && result->refused;
    StorageActor actor = *promotion->actor;
    actor.how = how;
    actor.forced = forced;
    actor.gates = result->gates;
    const StorageMoving moving = {.name = promotion->name,
                                  .tag = promotion->channel,
                                  .to = &result->digest,
                                  .expected = now,
                                  .pipeline = pipeline,
                                  .actor = &actor};
    GError *problem = NULL;
    result->moved = storage_move_tag(promotion->storage, &moving, &problem);
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_EXISTS)) {
        gboolean repeated;
        g_error_free(problem);
        return find_repeated(promotion, result, &repeated, error) &&
               (repeated || tell_change(promotion, pipeline, error));
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return result->moved;
}

/* *stands: the channel names what it names by a move of its own: not because an upstream's does, of which nobody here
 * has said so, nor by a push from when it was no channel, of which nobody knows since when it stands. */
static gboolean find_standing(const Promotion *promotion, const IngotDigest *now, gboolean *stands, GError **error)
{
    IngotDigest named;
    GError *problem = NULL;
    g_autoptr(GArray) moves =
        storage_last_move(promotion->storage, promotion->name, promotion->channel, &named, &problem);
    *stands = moves != NULL && moves->len > 0 && ingot_digest_equal(&named, now) &&
              storage_is_pushed(promotion->storage, promotion->name, promotion->channel);
    if (problem != NULL && !g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_clear_error(&problem);
    return TRUE;
}

/* *ends: the channel's rollout is stopped, which another promotion ends, of the same image too: it begins anew. */
static gboolean find_stopped(const Promotion *promotion, const char *how, gboolean *ends, GError **error)
{
    *ends = FALSE;
    if (promotion->ledger == NULL || strcmp(how, "promote") != 0) {
        return TRUE;
    }
    g_autoptr(HostTarget) target = host_target_new(promotion->storage, promotion->ledger, promotion->name,
                                                   promotion->channel, g_get_real_time() / G_USEC_PER_SEC, error);
    *ends = target != NULL && host_target_is_stopped(target);
    return target != NULL;
}

/* *stays: there is nothing to move. */
static gboolean find_stay(const Promotion *promotion, const char *how, const IngotDigest *now,
                          const PromotionResult *result, gboolean *stays, GError **error)
{
    gboolean stands, ends = FALSE;
    *stays = promotion->dry_run || (result->refused && !promotion->force);
    if (*stays || now == NULL || !ingot_digest_equal(now, &result->digest)) {
        return TRUE;
    }
    if (!find_standing(promotion, now, &stands, error) || (stands && !find_stopped(promotion, how, &ends, error))) {
        return FALSE;
    }
    *stays = stands && !ends;
    return TRUE;
}

/* result has the digest; now is what the channel names, NULL: nothing. */
static gboolean judge_and_move(const Promotion *promotion, const Pipeline *pipeline, const PipelineChannel *channel,
                               const char *how, const IngotDigest *now, PromotionResult *result, GError **error)
{
    if (!expects(promotion, now)) {
        return tell_winner(promotion, error);
    }
    result->gates = json_array();
    judge_gates(promotion, pipeline, channel, strcmp(how, "rollback") == 0, result);
    gboolean stays;
    return find_stay(promotion, how, now, result, &stays, error) &&
           (stays || move_channel(promotion, pipeline, now, how, result, error));
}

/* What the channel, which names `now` (NULL: nothing), is to name. */
typedef gboolean (*PromotionTarget)(const Promotion *promotion, const IngotDigest *now, IngotDigest *digest,
                                    GError **error);

static gboolean promotion_move(const Promotion *promotion, const char *how, PromotionTarget find,
                               PromotionResult *result, GError **error)
{
    IngotDigest old;
    gboolean found, repeated;
    g_autoptr(Pipeline) pipeline = storage_pipeline(promotion->storage, promotion->name);
    const PipelineChannel *channel = find_channel(pipeline, promotion->name, promotion->channel, error);
    /* In this order: where the first try moves the channel right behind the search, the second expects what was. */
    if (channel == NULL || !find_current(promotion, &old, &found, error) ||
        !find_repeated(promotion, result, &repeated, error)) {
        return FALSE;
    }
    const IngotDigest *now = found ? &old : NULL;
    return repeated || (find(promotion, now, &result->digest, error) &&
                        judge_and_move(promotion, pipeline, channel, how, now, result, error));
}

static gboolean find_from(const Promotion *promotion, const IngotDigest *now, IngotDigest *digest, GError **error)
{
    (void)now;
    return promotion_find(promotion->storage, promotion->name, promotion->from, digest, error);
}

gboolean promotion_run(const Promotion *promotion, PromotionResult *result, GError **error)
{
    return promotion_move(promotion, "promote", find_from, result, error);
}

/* --- back --- */

/* Takes the channel's next move, and keeps what it names in the order that a rollback goes back by: a rollback takes
 * away what came behind its target. */
static void retrace(GArray *line, const StorageMove *move)
{
    guint target = line->len;
    while (target > 0 && !ingot_digest_equal(&g_array_index(line, IngotDigest, target - 1), &move->digest)) {
        target--;
    }
    gboolean back = move->how != NULL && strcmp(move->how, "rollback") == 0;
    if (target > 0 && (back || target == line->len)) {
        g_array_set_size(line, target);
    } else {
        g_array_append_val(line, move->digest);
    }
}

/* What the channel named before what it names now; where it names nothing, as after its removal, what it named last.
 * FALSE where there is nothing. */
static gboolean find_previous(const GArray *moves, const IngotDigest *now, IngotDigest *previous)
{
    g_autoptr(GArray) line = g_array_new(FALSE, FALSE, sizeof(IngotDigest));
    for (guint i = moves->len; i-- > 0;) {
        const StorageMove *move = &g_array_index(moves, StorageMove, i);
        if (!move->gone) {
            retrace(line, move);
        }
    }
    guint left = line->len;
    if (left > 0 && now != NULL && ingot_digest_equal(&g_array_index(line, IngotDigest, left - 1), now)) {
        left--;
    }
    if (left == 0) {
        return FALSE;
    }
    *previous = g_array_index(line, IngotDigest, left - 1);
    return TRUE;
}

static gboolean has_stood(const GArray *moves, const IngotDigest *digest)
{
    for (guint i = 0; i < moves->len; i++) {
        const StorageMove *move = &g_array_index(moves, StorageMove, i);
        if (!move->gone && ingot_digest_equal(&move->digest, digest)) {
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean find_way_back(const Promotion *promotion, const IngotDigest *now, IngotDigest *digest, GError **error)
{
    g_autoptr(GArray) moves =
        storage_moves(promotion->storage, promotion->name, promotion->channel, 0, MOVES_LOOKED_AT, error);
    if (moves == NULL) {
        return FALSE;
    }
    if (promotion->from == NULL) {
        if (!find_previous(moves, now, digest)) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT,
                        "%s:%s named nothing before: there is nothing to go back to", promotion->name,
                        promotion->channel);
            return FALSE;
        }
    } else if (!promotion_find(promotion->storage, promotion->name, promotion->from, digest, error)) {
        return FALSE;
    } else if (!has_stood(moves, digest)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT,
                    "%s:%s never named %s, so it can't go back to it: promote it instead", promotion->name,
                    promotion->channel, promotion->from);
        return FALSE;
    }
    if (!storage_has_manifest(promotion->storage, promotion->name, digest)) {
        g_autofree char *text = ingot_digest_to_text(digest);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT, "%s:%s named %s before, which was removed since",
                    promotion->name, promotion->channel, text);
        return FALSE;
    }
    return TRUE;
}

gboolean promotion_roll_back(const Promotion *promotion, PromotionResult *result, GError **error)
{
    return promotion_move(promotion, "rollback", find_way_back, result, error);
}
