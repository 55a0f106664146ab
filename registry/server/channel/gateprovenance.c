/* provenance: {repository, branch, recipe: PATTERN, clean: true, keys: [PEM…]}. What says where the image was built
 * from (SLSA v1) fits. */
#include <ingot/error.h>

#include "evidence/provenance.h"
#include "server/channel/gateevidence.h"
#include "server/channel/gatekinds.h"
#include "server/channel/gatesettings.h"

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
            return g_strdup_printf("its %s is %s, not %s", patterns[i], told[i] == NULL ? "not known" : told[i],
                                   pattern);
        }
    }
    if (json_is_true(json_object_get(settings, "clean")) && !provenance->clean) {
        return g_strdup("its git tree had changes that were not committed, or that is not known");
    }
    return NULL;
}

static gboolean provenance_judge(const GateCase *its, const json_t *settings, GateVerdict *verdict, GError **error)
{
    g_auto(EvidenceList) list = {0};
    g_autoptr(GPtrArray) keys = settings_read_keys(settings, "keys");
    if (!evidence_statements(its, PROVENANCE_PREDICATE, keys, &list, error)) {
        return FALSE;
    }
    g_autofree char *refusals = evidence_refusals(&list);
    /* Whoever may push may attach: one that fits does not outweigh one that doesn't. */
    for (guint i = 0; verdict->why == NULL && i < list.found->len; i++) {
        const Evidence *one = g_ptr_array_index(list.found, i);
        g_autoptr(GError) problem = NULL;
        g_autoptr(Provenance) provenance = provenance_read(one->statement, &problem);
        verdict->why = provenance == NULL ? g_strdup(problem->message) : misfit(provenance, settings);
    }
    if (list.found->len == 0) {
        verdict->why = g_strdup_printf("no provenance about this digest counts%s", refusals);
    }
    verdict->passed = verdict->why == NULL;
    verdict->mend = verdict->passed ? NULL
                                    : g_strdup("build it from a commit that fits (with --no-cache where it is "
                                               "built already), and push that");
    if (verdict->passed) {
        verdict->why = g_strdup("it was built from what fits");
    }
    return TRUE;
}

const Gate gate_provenance = {"provenance", provenance_check, provenance_judge};
