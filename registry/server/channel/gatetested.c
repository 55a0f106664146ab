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

typedef struct {
    guint reports;         /* of the recipe */
    gint64 passed, failed; /* when the last of each kind ended; -1: there is none */
    guint early;           /* reports that passed in the future */
} Outcome;

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

/* recipe NULL: of any. What can't be read has not passed. A report that failed at no known time counts as the last; one
 * that passed in the future, by a clock that is wrong, doesn't count. */
static Outcome outcome_of(const EvidenceList *list, const char *recipe, gint64 now)
{
    Outcome outcome = {.passed = -1, .failed = -1};
    for (guint i = 0; i < list->found->len; i++) {
        const Evidence *one = g_ptr_array_index(list->found, i);
        g_autoptr(TestResult) result = test_result_read(one->statement, NULL);
        if (result == NULL || (recipe != NULL && !is_of_recipe(result, recipe))) {
            continue;
        }
        gint64 at = evidence_time(result->finished);
        if (result->passed && at > now + CLOCK_SKEW) {
            outcome.early++;
            continue;
        }
        at = !result->passed && at == 0 ? G_MAXINT64 : at;
        gint64 *last = result->passed ? &outcome.passed : &outcome.failed;
        *last = MAX(*last, at);
        outcome.reports++;
    }
    return outcome;
}

/* Of reports of the same second, or without a time, the one that failed counts. */
static gboolean judge_outcome(const Outcome *outcome, const char *recipe, const char *refusals, GateVerdict *verdict)
{
    g_autofree char *of = recipe == NULL ? g_strdup("") : g_strdup_printf(" of %s", recipe);
    verdict->passed = outcome->passed >= 0 && outcome->passed > outcome->failed;
    if (verdict->passed) {
        return TRUE;
    }
    verdict->why = outcome->reports == 0 && outcome->early > 0
                       ? g_strdup_printf("the test report%s is dated in the future: a clock is wrong", of)
                   : outcome->reports == 0
                       ? g_strdup_printf("no test report%s about this digest counts%s", of, refusals)
                   : outcome->failed >= 0 ? g_strdup_printf("the last test report%s says that it failed", of)
                                          : g_strdup_printf("no test report%s says that it passed", of);
    verdict->mend = outcome->failed >= 0
                        ? g_strdup("mend what failed and promote the new image, or let `ingot test` pass again")
                    : recipe == NULL ? g_strdup("run `ingot test` on it")
                                     : g_strdup_printf("run `ingot test --recipe %s` on it", recipe);
    return FALSE;
}

static gboolean tested_judge(const GateCase *its, const json_t *settings, GateVerdict *verdict, GError **error)
{
    const json_t *recipes = json_object_get(settings, "recipes");
    g_auto(EvidenceList) list = {0};
    g_autoptr(GPtrArray) keys = settings_read_keys(settings, "keys");
    if (!evidence_statements(its, TEST_RESULT_PREDICATE, keys, &list, error)) {
        return FALSE;
    }
    g_autofree char *refusals = evidence_refusals(&list);
    gsize count = MAX(json_array_size(recipes), 1);
    for (gsize i = 0; i < count; i++) {
        const char *recipe = json_string_value(json_array_get(recipes, i));
        const Outcome outcome = outcome_of(&list, recipe, its->now);
        if (!judge_outcome(&outcome, recipe, refusals, verdict)) {
            return TRUE;
        }
    }
    verdict->why = g_strdup_printf("%s", recipes == NULL ? "its tests have passed" : "all named tests have passed");
    return TRUE;
}

const Gate gate_tested = {"tested", tested_check, tested_judge};
