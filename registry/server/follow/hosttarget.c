#include "server/follow/hosttarget.h"

#include <ingot/error.h>
#include <string.h>

#include "base/text.h"
#include "server/follow/hosts.h"
#include "server/storage/channels.h"
#include "server/storage/moves.h"

#define NAMED_MOST 5u /* hosts in a sentence */

struct HostTarget {
    Storage *storage;
    const char *name, *channel;
    Pipeline *pipeline; /* the rules are its */
    IngotDigest digest;
    guint64 move;         /* the number of the move that it came by; 0: not known */
    GHashTable *versions; /* of digests; NULL: no barrier asks for them */
    GPtrArray *failed;    /* of char *: hosts, sorted */
    Rollout rollout;
};

void host_target_free(HostTarget *target)
{
    g_clear_pointer(&target->pipeline, pipeline_unref);
    g_clear_pointer(&target->versions, g_hash_table_unref);
    g_clear_pointer(&target->failed, g_ptr_array_unref);
    g_free(target);
}

/* --- what the server has --- */

/* What no move has led to goes out at once: nobody knows since when the tag names it. */
static gboolean host_target_find(HostTarget *target, GError **error)
{
    g_autoptr(GArray) moves = storage_last_move(target->storage, target->name, target->channel, &target->digest, error);
    target->rollout.at_once = TRUE;
    if (moves != NULL && moves->len > 0) {
        const StorageMove *last = &g_array_index(moves, StorageMove, 0);
        target->move = last->number;
        target->rollout.since = last->at;
        target->rollout.at_once = g_strcmp0(last->how, "rollback") == 0;
    }
    return moves != NULL;
}

static gboolean host_target_find_rules(HostTarget *target, GError **error)
{
    target->pipeline = storage_pipeline(target->storage, target->name);
    const PipelineChannel *channel = pipeline_channel(target->pipeline, target->channel);
    target->rollout.rules = channel == NULL ? NULL : channel->rollout;
    if (json_object_get(target->rollout.rules, "barriers") != NULL) {
        target->versions = storage_version_names(target->storage, target->name, error);
        return target->versions != NULL;
    }
    return TRUE;
}

/* NULL: it has none, or nobody asks. */
static const char *host_target_version(const HostTarget *target, const IngotDigest *digest)
{
    g_autofree char *text = ingot_digest_to_text(digest);
    return target->versions == NULL ? NULL : g_hash_table_lookup(target->versions, text);
}

/* Whether it is the target's, or that of a barrier on the way to it. */
static gboolean host_target_leads_by(const HostTarget *target, const char *digest)
{
    g_autofree char *own = ingot_digest_to_text(&target->digest);
    const char *version = target->versions == NULL ? NULL : g_hash_table_lookup(target->versions, digest);
    const json_t *barriers = json_object_get(target->rollout.rules, "barriers");
    gboolean leads = strcmp(digest, own) == 0;
    for (gsize i = 0; !leads && version != NULL && i < json_array_size(barriers); i++) {
        leads = strcmp(version, json_string_value(json_array_get(barriers, i))) == 0;
    }
    return leads;
}

static gboolean host_target_find_failed(HostTarget *target, Database *ledger, GError **error)
{
    gsize index;
    const json_t *one;
    g_autoptr(json_t) list =
        hosts_failed(ledger, target->name, target->channel, target->move, target->rollout.now, error);
    target->failed = g_ptr_array_new_with_free_func(g_free);
    json_array_foreach(list, index, one)
    {
        const char *host = json_string_value(json_object_get(one, "host"));
        const char *last = target->failed->len == 0 ? NULL : g_ptr_array_index(target->failed, target->failed->len - 1);
        if (g_strcmp0(host, last) != 0 &&
            host_target_leads_by(target, json_string_value(json_object_get(one, "digest")))) {
            g_ptr_array_add(target->failed, g_strdup(host));
        }
    }
    target->rollout.failures = target->failed->len;
    return list != NULL;
}

HostTarget *host_target_new(Storage *storage, Database *ledger, const char *name, const char *channel, gint64 now,
                            GError **error)
{
    g_autoptr(HostTarget) target = g_new0(HostTarget, 1);
    *target = (HostTarget){.storage = storage, .name = name, .channel = channel, .rollout = {.now = now}};
    return host_target_find(target, error) && host_target_find_rules(target, error) &&
                   host_target_find_failed(target, ledger, error)
               ? g_steal_pointer(&target)
               : NULL;
}

/* --- what that means --- */

/* Free it. */
static char *why_stopped(const HostTarget *target)
{
    GString *why = g_string_new(NULL);
    guint count = target->failed->len;
    g_string_append_printf(why, "the rollout is stopped: %u host%s failed with it (", count,
                           count == 1 ? " has" : "s have");
    for (guint i = 0; i < MIN(count, NAMED_MOST); i++) {
        g_string_append_printf(why, "%s%s", i == 0 ? "" : ", ", (const char *)g_ptr_array_index(target->failed, i));
    }
    g_string_append(why, count > NAMED_MOST ? ", ...)" : ")");
    return g_string_free(why, FALSE);
}

/* Takes the text over. */
static json_t *tell_wait(char *why, gint64 again)
{
    g_autofree char *text = why;
    json_t *answer = json_object();
    ingot_json_set_string(answer, "why", text);
    if (again > 0) {
        json_object_set_new(answer, "again", json_integer(again));
    }
    return answer;
}

static json_t *tell_digest(const IngotDigest *digest)
{
    g_autofree char *text = ingot_digest_to_text(digest);
    return ingot_json_pack("{s:s}", "digest", text);
}

static json_t *tell_barrier(const HostTarget *target, const char *barrier, GError **error)
{
    IngotDigest digest;
    GError *problem = NULL;
    if (!storage_find_tag(target->storage, target->name, barrier, &digest, &problem)) {
        if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
            g_error_free(problem);
            return tell_wait(g_strdup_printf("%s has to be passed first, and is not there", barrier), 0);
        }
        g_propagate_error(error, problem);
        return NULL;
    }
    json_t *answer = tell_digest(&digest);
    ingot_json_set_string(answer, "version", barrier);
    json_object_set_new(answer, "further", json_true());
    return answer;
}

gboolean host_target_is_stopped(const HostTarget *target)
{
    return rollout_is_stopped(&target->rollout);
}

json_t *host_target_tell(HostTarget *target, const RolloutHost *host, const IngotDigest *runs, GError **error)
{
    gint64 next;
    const Rollout *rollout = &target->rollout;
    if (runs != NULL && ingot_digest_equal(runs, &target->digest)) {
        return tell_digest(runs);
    }
    if (rollout_is_stopped(rollout)) {
        return tell_wait(why_stopped(target), 0);
    }
    guint phase = rollout_phase(rollout, host), phases = rollout_phases(rollout);
    if (phase >= rollout_open(rollout, &next)) {
        gint64 opens = rollout_opens(rollout, phase);
        g_autofree char *when = ingot_text_time(opens);
        return tell_wait(g_strdup_printf("phase %u of %u opens at %s", phase + 1, phases, when), opens - rollout->now);
    }
    const char *barrier = runs == NULL ? NULL
                                       : rollout_barrier(rollout->rules, host_target_version(target, runs),
                                                         host_target_version(target, &target->digest));
    return barrier == NULL ? tell_digest(&target->digest) : tell_barrier(target, barrier, error);
}

json_t *host_target_rollout(const HostTarget *target)
{
    gint64 next;
    const Rollout *rollout = &target->rollout;
    guint phases = rollout_phases(rollout), open = rollout_open(rollout, &next);
    gboolean stopped = rollout_is_stopped(rollout);
    if (rollout->rules == NULL || (open == phases && !stopped)) {
        return NULL;
    }
    g_autofree char *digest = ingot_digest_to_text(&target->digest);
    g_autofree char *when = next == 0 ? NULL : ingot_text_time(next);
    g_autofree char *why =
        stopped ? why_stopped(target) : g_strdup_printf("phase %u of %u; the next one opens at %s", open, phases, when);
    json_t *failed = json_array();
    for (guint i = 0; i < target->failed->len; i++) {
        json_array_append_new(failed, ingot_json_text(g_ptr_array_index(target->failed, i)));
    }
    json_t *answer =
        ingot_json_pack("{s:s, s:s, s:i, s:i, s:b, s:o}", "channel", target->channel, "digest", digest, "phase",
                        (int)open, "phases", (int)phases, "stopped", (int)stopped, "failed", failed);
    ingot_json_set_string(answer, "next", stopped ? NULL : when);
    ingot_json_set_string(answer, "why", why);
    return answer;
}
