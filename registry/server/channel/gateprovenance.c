/* provenance: {repository, branch, recipe: PATTERN, clean: true, keys: [PEM…]}. What says where the image was built
 * from (SLSA v1) fits. */
#include <ingot/error.h>

#include "base/text.h"
#include "evidence/provenance.h"
#include "server/channel/gateevidence.h"
#include "server/channel/gatekinds.h"
#include "server/channel/gatesettings.h"

#define TOLD_MOST 200u /* bytes of what somebody has attached */

static const char *const patterns[] = {"repository", "branch", "recipe", NULL};

static gboolean provenance_check(const json_t *settings, GString *path, GError **error)
{
    static const char *const names[] = {"repository", "branch", "recipe", "clean", "keys", NULL};
    if (!settings_map(settings, names, NULL, path, error) || !settings_keys(settings, "keys", path, error)) {
        return FALSE;
    }
    const json_t *clean = json_object_get(settings, "clean");
    if (clean != NULL && !json_is_boolean(clean)) {
        return settings_wrong(path, "clean", error, "true or false is expected");
    }
    for (guint i = 0; patterns[i] != NULL; i++) {
        const json_t *value = json_object_get(settings, patterns[i]);
        if (value != NULL && !json_is_string(value)) {
            return settings_wrong(path, patterns[i], error, "a pattern is expected, as in https://git.example/*");
        }
    }
    return TRUE;
}

/* What does not fit (free it); NULL: all does. */
static char *misfit(const Provenance *provenance, const json_t *settings)
{
    const char *const told[] = {provenance->repository, provenance->branch, provenance->recipe_path};
    for (guint i = 0; patterns[i] != NULL; i++) {
        const char *pattern = json_string_value(json_object_get(settings, patterns[i]));
        if (pattern != NULL && (told[i] == NULL || !g_pattern_match_simple(pattern, told[i]))) {
            g_autofree char *head = ingot_text_head(told[i] == NULL ? "not known" : told[i], TOLD_MOST);
            return g_strdup_printf("its %s is %s, which does not fit %s", patterns[i], head, pattern);
        }
    }
    if (json_is_true(json_object_get(settings, "clean")) && !provenance->clean) {
        return g_strdup("its git tree had changes that were not committed, or it is not known whether it had");
    }
    return NULL;
}

/* All provenance of an image, against a gate's settings. */
typedef struct {
    const json_t *settings;
    guint count;
    char *misfit; /* of the first that does not fit */
    IngotDigest attachment;
} Origins;

static void note_origin(const Evidence *one, gpointer user)
{
    Origins *origins = user;
    origins->count++;
    if (origins->misfit == NULL) {
        g_autoptr(Provenance) provenance = provenance_read(one->statement, NULL);
        origins->misfit = provenance == NULL ? g_strdup("it does not say by which recipe it was built")
                                             : misfit(provenance, origins->settings);
        origins->attachment = one->attachment;
    }
}

static void judge_origins(const GateCase *its, const Origins *origins, const char *refusals, gboolean by_keys,
                          GateVerdict *verdict)
{
    if (origins->misfit != NULL) {
        /* Whoever may push may attach: one that fits does not outweigh one that doesn't. */
        g_autofree char *digest = ingot_digest_to_text(&origins->attachment);
        verdict->why = g_strdup_printf("%s, by the provenance %s", origins->misfit, digest);
        verdict->mend = g_strdup("build it from a commit that fits (with --no-cache where it is built already) and "
                                 "push that, or remove a provenance that is wrong");
    } else if (origins->count == 0) {
        verdict->why = g_strdup_printf("no provenance about it counts%s", refusals);
        verdict->mend = by_keys ? evidence_sign(its, "provenance")
                                : g_strdup("build it with `ingot build`, which attaches provenance, and push that");
    } else {
        verdict->passed = TRUE;
        verdict->why = g_strdup("its provenance fits");
    }
}

static gboolean provenance_judge(const GateCase *its, const json_t *settings, GateVerdict *verdict, GError **error)
{
    g_auto(EvidenceReading) reading = {0};
    g_autoptr(GPtrArray) keys = settings_read_keys(settings, "keys");
    Origins origins = {.settings = settings};
    gboolean read = evidence_statements(its, PROVENANCE_PREDICATE, keys, &reading, note_origin, &origins, error);
    g_autofree char *refusals = evidence_refusals(&reading);
    if (read) {
        judge_origins(its, &origins, refusals, keys != NULL, verdict);
    }
    g_free(origins.misfit);
    return read;
}

const Gate gate_provenance = {"provenance", provenance_check, provenance_judge};
