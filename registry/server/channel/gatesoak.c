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

typedef struct {
    gint64 since;
    gboolean failed; /* in the time since then, or nobody knows when */
} Failures;

static void note_failure(const Evidence *one, gpointer user)
{
    Failures *failures = user;
    g_autoptr(TestResult) result = test_result_read(one->statement, NULL);
    gint64 at = result == NULL ? 0 : evidence_time(result->finished);
    failures->failed |= result != NULL && !result->passed && (at == 0 || at >= failures->since);
}

static char *join_channels(const GateCase *its)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < its->from->len; i++) {
        g_string_append_printf(text, "%s%s", i == 0 ? "" : " or ", (const char *)g_ptr_array_index(its->from, i));
    }
    return g_string_free(text, FALSE);
}

static gboolean soak_judge(const GateCase *its, const json_t *settings, GateVerdict *verdict, GError **error)
{
    g_autoptr(json_t) map = as_map(settings);
    g_auto(EvidenceReading) reading = {0};
    gint64 wanted = settings_seconds(map, "for"), since = 0;
    const char *channel;
    g_autofree char *long_enough = ingot_text_duration((double)wanted);
    if (!find_longest(its, &channel, &since, error)) {
        return FALSE;
    }
    if (channel == NULL) {
        g_autofree char *channels = join_channels(its);
        verdict->why = g_strdup_printf("it does not stand in %s", channels);
        verdict->mend = g_strdup_printf("promote it to %s, and wait for %s", channels, long_enough);
        return TRUE;
    }
    Failures failures = {.since = since};
    if (!evidence_statements(its, TEST_RESULT_PREDICATE, NULL, &reading, note_failure, &failures, error)) {
        return FALSE;
    }
    gint64 stood = its->now - since;
    g_autofree char *told = ingot_text_duration((double)MAX(stood, 0));
    if (stood < 0) {
        verdict->why = g_strdup_printf("by its log it stands in %s from a later time on: a clock is wrong", channel);
        verdict->mend = g_strdup_printf("set the server's clock, and promote it to %s again", channel);
    } else if (failures.failed) {
        verdict->why = g_strdup_printf("a test of it has failed since it stands in %s", channel);
        verdict->mend = g_strdup("promote an image whose tests pass");
    } else if (stood < wanted) {
        g_autofree char *when = ingot_text_time(since + wanted);
        verdict->why = g_strdup_printf("it has stood in %s for %s of %s", channel, told, long_enough);
        verdict->mend = g_strdup_printf("promote it after %s", when);
    } else {
        verdict->passed = TRUE;
        verdict->why = g_strdup_printf("it has stood in %s for %s", channel, told);
    }
    return TRUE;
}

const Gate gate_soak = {"soak", soak_check, soak_judge};
