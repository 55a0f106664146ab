#include "server/follow/hosttarget.h"

#include <ingot/error.h>
#include <ingot/reference.h>
#include <string.h>

#include "base/text.h"
#include "server/follow/hosts.h"
#include "server/follow/passed.h"
#include "server/storage/channels.h"
#include "server/storage/moves.h"

#define NAMED_MOST 5u         /* hosts in a sentence */
#define MOVES_LOOKED_AT 10000 /* of the channel, for what an image without a version came behind */

struct HostTarget {
    Storage *storage;
    Database *ledger;
    const char *name, *channel;
    Pipeline *pipeline; /* the rules are its */
    IngotDigest digest;
    guint64 move;         /* the number of the move that it came by; 0: not known */
    GHashTable *versions; /* of digests; NULL: no barrier asks for them */
    GArray *moves;        /* of StorageMove: the channel's, the newest first; NULL: not looked up yet */
    GPtrArray *failed;    /* of char *: hosts, sorted, each once; some may have the same name */
    Rollout rollout;
};

void host_target_free(HostTarget *target)
{
    g_clear_pointer(&target->pipeline, pipeline_unref);
    g_clear_pointer(&target->versions, g_hash_table_unref);
    g_clear_pointer(&target->moves, g_array_unref);
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

/* *barrier: the version that a host has to run before the target's; NULL: none. What it runs counts by its own version;
 * without one, by what it came behind. */
static gboolean host_target_find_barrier(HostTarget *target, const IngotDigest *runs, const char **barrier,
                                         GError **error)
{
    const char *version = host_target_version(target, runs);
    *barrier = rollout_barrier(target->rollout.rules, version, host_target_version(target, &target->digest));
    if (*barrier == NULL || version != NULL) {
        return TRUE;
    }
    if (target->moves == NULL) {
        target->moves = storage_moves(target->storage, target->name, target->channel, 0, MOVES_LOOKED_AT, error);
    }
    if (target->moves != NULL) {
        *barrier = rollout_barrier(target->rollout.rules, passed_version(target->moves, target->versions, runs),
                                   host_target_version(target, &target->digest));
    }
    return target->moves != NULL;
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

static gboolean is_same_host(const json_t *one, const json_t *other)
{
    return json_equal(json_object_get(one, "host"), json_object_get(other, "host")) &&
           json_equal(json_object_get(one, "id"), json_object_get(other, "id"));
}

static gboolean host_target_find_failed(HostTarget *target, Database *ledger, GError **error)
{
    gsize index;
    const json_t *one, *last = NULL;
    g_autoptr(json_t) list =
        hosts_failed(ledger, target->name, target->channel, target->move, target->rollout.now, error);
    target->failed = g_ptr_array_new_with_free_func(g_free);
    json_array_foreach(list, index, one)
    {
        if (!is_same_host(one, last) &&
            host_target_leads_by(target, json_string_value(json_object_get(one, "digest")))) {
            g_ptr_array_add(target->failed, g_strdup(json_string_value(json_object_get(one, "host"))));
            last = one;
        }
    }
    target->rollout.failures = target->failed->len;
    return list != NULL;
}

HostTarget *host_target_new(Storage *storage, Database *ledger, const char *name, const char *channel, gint64 now,
                            GError **error)
{
    g_autoptr(HostTarget) target = g_new0(HostTarget, 1);
    *target =
        (HostTarget){.storage = storage, .ledger = ledger, .name = name, .channel = channel, .rollout = {.now = now}};
    return host_target_find(target, error) && host_target_find_rules(target, error) &&
                   host_target_find_failed(target, ledger, error)
               ? g_steal_pointer(&target)
               : NULL;
}

/* --- what that means --- */

/* "(a, b)" */
static void why_hosts(GString *why, const GPtrArray *hosts)
{
    for (guint i = 0; i < MIN(hosts->len, NAMED_MOST); i++) {
        g_string_append_printf(why, "%s%s", i == 0 ? "(" : ", ", (const char *)g_ptr_array_index(hosts, i));
    }
    g_string_append(why, hosts->len > NAMED_MOST ? ", ...)" : ")");
}

/* Free it. */
static char *why_stopped(const HostTarget *target)
{
    GString *why = g_string_new(NULL);
    guint count = target->failed->len;
    g_string_append_printf(why, "the rollout is stopped: %u host%s failed with it ", count,
                           count == 1 ? " has" : "s have");
    why_hosts(why, target->failed);
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
    const char *barrier = NULL;
    if (runs != NULL && !host_target_find_barrier(target, runs, &barrier, error)) {
        return NULL;
    }
    return barrier == NULL ? tell_digest(&target->digest) : tell_barrier(target, barrier, error);
}

/* --- hosts that a barrier holds up --- */

/* *missing: there is no such tag. */
static gboolean barrier_is_missing(const HostTarget *target, const char *barrier, gboolean *missing, GError **error)
{
    IngotDigest digest;
    GError *problem = NULL;
    *missing = !storage_find_tag(target->storage, target->name, barrier, &digest, &problem);
    if (*missing && !g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_clear_error(&problem);
    return TRUE;
}

/* Whether any below the target is: nearly always none, and no host has to be looked at. */
static gboolean barriers_are_missing(const HostTarget *target, gboolean *missing, GError **error)
{
    const char *version = host_target_version(target, &target->digest);
    const json_t *barriers = json_object_get(target->rollout.rules, "barriers");
    *missing = FALSE;
    for (gsize i = 0; version != NULL && !*missing && i < json_array_size(barriers); i++) {
        const char *one = json_string_value(json_array_get(barriers, i));
        if (ingot_tag_compare(one, version) < 0 && !barrier_is_missing(target, one, missing, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* *barrier: the one that keeps the host, which is not there; NULL: none does. */
static gboolean host_waits_for(HostTarget *target, const json_t *host, const char **barrier, GError **error)
{
    IngotDigest runs;
    gboolean missing = FALSE;
    const char *digest = json_string_value(json_object_get(host, "digest"));
    *barrier = NULL;
    if (strcmp(json_string_value(json_object_get(host, "result")), "done") != 0 ||
        !ingot_digest_parse(digest, &runs, NULL) || ingot_digest_equal(&runs, &target->digest)) {
        return TRUE;
    }
    if (!host_target_find_barrier(target, &runs, barrier, error) ||
        (*barrier != NULL && !barrier_is_missing(target, *barrier, &missing, error))) {
        return FALSE;
    }
    *barrier = missing ? *barrier : NULL;
    return TRUE;
}

/* The hosts that wait for such a one, of char *, and the last of those barriers. NULL: an error. */
static GPtrArray *host_target_waiting(HostTarget *target, const char **barrier, GError **error)
{
    gsize index;
    const json_t *host;
    gboolean missing;
    const char *one;
    g_autoptr(GPtrArray) waiting = g_ptr_array_new_with_free_func(g_free);
    if (!barriers_are_missing(target, &missing, error)) {
        return NULL;
    }
    g_autoptr(json_t) hosts =
        missing ? hosts_list(target->ledger, target->name, target->channel, target->rollout.now, error) : json_array();
    json_array_foreach(hosts, index, host)
    {
        if (!host_waits_for(target, host, &one, error)) {
            return NULL;
        }
        if (one != NULL) {
            *barrier = one;
            g_ptr_array_add(waiting, g_strdup(json_string_value(json_object_get(host, "host"))));
        }
    }
    return hosts == NULL ? NULL : g_steal_pointer(&waiting);
}

/* Free it. */
static char *why_waiting(const GPtrArray *waiting, const char *barrier)
{
    GString *why = g_string_new(NULL);
    g_string_append_printf(why, "%u host%s to pass %s first, which is not there ", waiting->len,
                           waiting->len == 1 ? " has" : "s have", barrier);
    why_hosts(why, waiting);
    return g_string_free(why, FALSE);
}

/* --- how far it has come --- */

static json_t *tell_hosts(const GPtrArray *hosts)
{
    json_t *list = json_array();
    for (guint i = 0; i < hosts->len; i++) {
        json_array_append_new(list, ingot_json_text(g_ptr_array_index(hosts, i)));
    }
    return list;
}

/* Free it. */
static char *why_not_all(const HostTarget *target, const GPtrArray *waiting, const char *barrier)
{
    gint64 next;
    const Rollout *rollout = &target->rollout;
    guint phases = rollout_phases(rollout), open = rollout_open(rollout, &next);
    if (rollout_is_stopped(rollout)) {
        return why_stopped(target);
    }
    g_autofree char *when = next == 0 ? NULL : ingot_text_time(next);
    g_autofree char *opens =
        when == NULL ? NULL : g_strdup_printf("phase %u of %u; the next one opens at %s", open, phases, when);
    g_autofree char *waits = waiting->len == 0 ? NULL : why_waiting(waiting, barrier);
    return opens == NULL || waits == NULL ? g_strdup(opens == NULL ? waits : opens)
                                          : g_strdup_printf("%s; %s", opens, waits);
}

static json_t *tell_rollout(const HostTarget *target, const GPtrArray *waiting, const char *barrier)
{
    gint64 next;
    const Rollout *rollout = &target->rollout;
    guint phases = rollout_phases(rollout), open = rollout_open(rollout, &next);
    gboolean stopped = rollout_is_stopped(rollout);
    g_autofree char *digest = ingot_digest_to_text(&target->digest), *why = why_not_all(target, waiting, barrier);
    g_autofree char *when = next == 0 || stopped ? NULL : ingot_text_time(next);
    json_t *answer = ingot_json_pack("{s:s, s:s, s:i, s:i, s:b, s:o, s:o}", "channel", target->channel, "digest",
                                     digest, "phase", (int)open, "phases", (int)phases, "stopped", (int)stopped,
                                     "failed", tell_hosts(target->failed), "waiting", tell_hosts(waiting));
    ingot_json_set_string(answer, "next", when);
    ingot_json_set_string(answer, "why", why);
    return answer;
}

json_t *host_target_rollout(HostTarget *target, GError **error)
{
    gint64 next;
    const Rollout *rollout = &target->rollout;
    if (rollout->rules == NULL) {
        return NULL;
    }
    const char *barrier = NULL;
    g_autoptr(GPtrArray) waiting = host_target_waiting(target, &barrier, error);
    gboolean all = rollout_open(rollout, &next) == rollout_phases(rollout) && !rollout_is_stopped(rollout);
    return waiting == NULL || (all && waiting->len == 0) ? NULL : tell_rollout(target, waiting, barrier);
}
