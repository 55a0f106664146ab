/* soak: 1d. The digest has stood in the channel before for so long, without a break, and no test report of that time
 * says that it failed. */
#include <ingot/error.h>

#include "base/text.h"
#include "evidence/testresult.h"
#include "server/channel/gateevidence.h"
#include "server/channel/gatekinds.h"
#include "server/channel/gatesettings.h"
#include "server/storage/moves.h"

#define MOVES_LOOKED_AT 1000u

/* `soak: 1d` is `soak: {for: 1d}`. Decref it. */
static json_t *as_map(const json_t *settings)
{
    return json_is_string(settings) ? json_pack("{s:O}", "for", (json_t *)settings) : json_incref((json_t *)settings);
}

static gboolean soak_check(const json_t *settings, GString *path, GError **error)
{
    static const char *const names[] = {"for", NULL};
    g_autoptr(json_t) map = settings == NULL ? NULL : as_map(settings);
    g_autoptr(GString) within = g_string_new(NULL); /* a word has no member */
    return settings_map(map, names, "for", path, error) &&
           settings_duration(map, "for", json_is_string(settings) ? within : path, error);
}

/* Since when the digest stands in the channel; 0: it does not. */
static gboolean stands_since(const GateCase *its, const char *channel, gint64 *since, GError **error)
{
    g_autoptr(GArray) moves = storage_moves(its->storage, its->name, channel, 0, MOVES_LOOKED_AT, error);
    *since = 0;
    for (guint i = 0; moves != NULL && i < moves->len; i++) {
        const StorageMove *move = &g_array_index(moves, StorageMove, i);
        if (move->gone || !ingot_digest_equal(&move->digest, &its->digest)) {
            break;
        }
        *since = move->at;
    }
    return moves != NULL;
}

/* The channel in which it stands for the longest; NULL: in none. */
static gboolean find_longest(const GateCase *its, const char **channel, gint64 *since, GError **error)
{
    *channel = NULL;
    for (guint i = 0; i < its->from->len; i++) {
        gint64 here;
        const char *one = g_ptr_array_index(its->from, i);
        if (!stands_since(its, one, &here, error)) {
            return FALSE;
        }
        if (here != 0 && (*channel == NULL || here < *since)) {
            *channel = one;
            *since = here;
        }
    }
    return TRUE;
}

static gboolean has_failed_since(const GateCase *its, gint64 since, gboolean *failed, GError **error)
{
    g_auto(EvidenceList) list = {0};
    *failed = FALSE;
    if (!evidence_statements(its, TEST_RESULT_PREDICATE, NULL, &list, error)) {
        return FALSE;
    }
    for (guint i = 0; i < list.found->len; i++) {
        const Evidence *one = g_ptr_array_index(list.found, i);
        g_autoptr(TestResult) result = test_result_read(one->statement, NULL);
        gint64 at = result == NULL ? 0 : evidence_time(result->finished);
        *failed |= result != NULL && !result->passed && (at == 0 || at >= since);
    }
    return TRUE;
}

static gboolean soak_judge(const GateCase *its, const json_t *settings, GateVerdict *verdict, GError **error)
{
    g_autoptr(json_t) map = as_map(settings);
    gint64 wanted = settings_seconds(map, "for"), since = 0;
    const char *channel;
    gboolean failed;
    g_autofree char *long_enough = ingot_text_duration((double)wanted);
    if (!find_longest(its, &channel, &since, error)) {
        return FALSE;
    }
    if (channel == NULL) {
        verdict->why = g_strdup("it stands in no channel before this one");
        verdict->mend = g_strdup_printf("promote it there, and wait for %s", long_enough);
        return TRUE;
    }
    if (!has_failed_since(its, since, &failed, error)) {
        return FALSE;
    }
    gint64 stood = its->now - since;
    g_autofree char *told = ingot_text_duration((double)MAX(stood, 0));
    if (stood < 0) {
        verdict->why = g_strdup_printf("it stands in %s since a time that is not yet: a clock is wrong", channel);
        verdict->mend = g_strdup("set the server's clock, and promote it there again");
    } else if (failed) {
        verdict->why = g_strdup_printf("a test has failed while it stood in %s", channel);
        verdict->mend = g_strdup("promote an image that passes");
    } else if (stood < wanted) {
        g_autofree char *when = ingot_text_time(since + wanted);
        verdict->why = g_strdup_printf("it stands in %s for %s", channel, told);
        verdict->mend = g_strdup_printf("wait for %s in all: until %s", long_enough, when);
    } else {
        verdict->passed = TRUE;
        verdict->why = g_strdup_printf("it stands in %s for %s", channel, told);
    }
    return TRUE;
}

const Gate gate_soak = {"soak", soak_check, soak_judge};
