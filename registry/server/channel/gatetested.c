/* tested, or tested: {recipes: [NAME…], keys: [PEM…]}. A test report about this very digest says that it passed, and
 * none that is newer says that it failed; of each recipe that is named there is one. */
#include <ingot/error.h>
#include <string.h>

#include "evidence/testresult.h"
#include "server/channel/gateevidence.h"
#include "server/channel/gatekinds.h"
#include "server/channel/gatesettings.h"

#define CLOCK_SKEW 300 /* seconds by which a tester's clock may be ahead */

static gboolean tested_check(const json_t *settings, GString *path, GError **error)
{
    static const char *const names[] = {"recipes", "keys", NULL};
    return settings_map(settings, names, NULL, path, error) && settings_texts(settings, "recipes", path, error) &&
           settings_keys(settings, "keys", path, error);
}

/* What the reports say, of one recipe or of any. */
typedef struct {
    const char *recipe; /* NULL: any; belongs to the settings */
    guint reports;
    gint64 passed, failed; /* when the last of each kind ended; -1: there is none */
    IngotDigest failure;   /* what holds the last that failed */
    guint early;           /* reports that passed in the future */
} Outcome;

typedef struct {
    gint64 now;
    GArray *outcomes; /* of Outcome */
} Outcomes;

/* By the recipe's name, or by its SHA-256 as "sha256:HEX". */
static gboolean is_of_recipe(const TestResult *result, const char *recipe)
{
    IngotDigest digest;
    gboolean by_digest = ingot_digest_parse(recipe, &digest, NULL);
    for (guint i = 0; i < result->recipes->len; i++) {
        const TestRecipe *one = g_ptr_array_index(result->recipes, i);
        if (by_digest ? one->has_digest && ingot_digest_equal(&one->digest, &digest) : strcmp(one->name, recipe) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

/* A report that failed at no known time counts as the last; one that passed in the future, by a clock that is wrong,
 * doesn't count. */
static void outcome_note(Outcome *outcome, const TestResult *result, const IngotDigest *attachment, gint64 now)
{
    gint64 at = evidence_time(result->finished);
    if (result->passed && at > now + CLOCK_SKEW) {
        outcome->early++;
        return;
    }
    outcome->reports++;
    if (result->passed) {
        outcome->passed = MAX(outcome->passed, at);
        return;
    }
    at = at == 0 ? G_MAXINT64 : at;
    if (at > outcome->failed) {
        outcome->failed = at;
        outcome->failure = *attachment;
    }
}

/* What can't be read has not passed. */
static void note_report(const Evidence *one, gpointer user)
{
    const Outcomes *outcomes = user;
    g_autoptr(TestResult) result = test_result_read(one->statement, NULL);
    for (guint i = 0; result != NULL && i < outcomes->outcomes->len; i++) {
        Outcome *outcome = &g_array_index(outcomes->outcomes, Outcome, i);
        if (outcome->recipe == NULL || is_of_recipe(result, outcome->recipe)) {
            outcome_note(outcome, result, &one->attachment, outcomes->now);
        }
    }
}

/* One for each recipe, or one of all. */
static GArray *outcomes_new(const json_t *recipes)
{
    GArray *outcomes = g_array_new(FALSE, FALSE, sizeof(Outcome));
    for (gsize i = 0; i < MAX(json_array_size(recipes), 1); i++) {
        const Outcome outcome = {.recipe = json_string_value(json_array_get(recipes, i)), .passed = -1, .failed = -1};
        g_array_append_val(outcomes, outcome);
    }
    return outcomes;
}

/* "run `ingot test HOST/team/web@sha256:… --recipe cis.yaml`" */
static char *test_command(const GateCase *its, const Outcome *outcome, gboolean by_keys)
{
    g_autofree char *image = gate_image(its);
    gboolean by_name = outcome->recipe != NULL && !g_str_has_prefix(outcome->recipe, "sha256:");
    gboolean by_digest = outcome->recipe != NULL && !by_name;
    return g_strdup_printf("run `ingot test %s%s%s%s`%s%s", image,
                           by_name     ? " --recipe "
                           : by_digest ? " --recipe FILE"
                                       : "",
                           by_name ? outcome->recipe : "", by_keys ? " --key KEY" : "",
                           by_keys ? " with one of the gate's keys" : "",
                           by_digest ? ", where no variable of that recipe is set otherwise than in it" : "");
}

static void refuse_failed(const GateCase *its, const Outcome *outcome, const char *of, GateVerdict *verdict)
{
    g_autofree char *digest = ingot_digest_to_text(&outcome->failure);
    if (outcome->failed <= its->now + CLOCK_SKEW) {
        verdict->why = g_strdup_printf("the newest test report%s says that it failed", of);
        verdict->mend = g_strdup("promote an image whose tests pass, or let `ingot test` pass on this one");
    } else {
        verdict->why =
            g_strdup_printf("the test report %s%s says that it failed, %s, so that none is newer", digest, of,
                            outcome->failed == G_MAXINT64 ? "and not when" : "at a time that is not yet");
        verdict->mend = g_strdup("remove that report from the registry, and test the image again");
    }
}

/* Of reports of the same second, or without a time, the one that failed counts. */
static gboolean judge_outcome(const GateCase *its, const Outcome *outcome, const char *refusals, gboolean by_keys,
                              GateVerdict *verdict)
{
    g_autofree char *of = outcome->recipe == NULL ? g_strdup("") : g_strdup_printf(" of %s", outcome->recipe);
    if (outcome->passed >= 0 && outcome->passed > outcome->failed) {
        return TRUE;
    }
    if (outcome->failed >= 0) {
        refuse_failed(its, outcome, of, verdict);
        return FALSE;
    }
    verdict->why = outcome->early > 0
                       ? g_strdup_printf("its test report%s is dated in the future: a clock is wrong", of)
                       : g_strdup_printf("no test report%s about it counts%s", of, refusals);
    verdict->mend = test_command(its, outcome, by_keys);
    return FALSE;
}

static gboolean tested_judge(const GateCase *its, const json_t *settings, GateVerdict *verdict, GError **error)
{
    const json_t *recipes = json_object_get(settings, "recipes");
    g_auto(EvidenceReading) reading = {0};
    g_autoptr(GPtrArray) keys = settings_read_keys(settings, "keys");
    g_autoptr(GArray) list = outcomes_new(recipes);
    Outcomes outcomes = {its->now, list};
    if (!evidence_statements(its, TEST_RESULT_PREDICATE, keys, &reading, note_report, &outcomes, error)) {
        return FALSE;
    }
    g_autofree char *refusals = evidence_refusals(&reading);
    for (guint i = 0; i < list->len; i++) {
        if (!judge_outcome(its, &g_array_index(list, Outcome, i), refusals, keys != NULL, verdict)) {
            return TRUE;
        }
    }
    verdict->passed = TRUE;
    verdict->why = g_strdup(recipes == NULL ? "its tests have passed" : "the tests of all these recipes have passed");
    return TRUE;
}

const Gate gate_tested = {"tested", tested_check, tested_judge};
