/* base: {newer_than: 30d}. What the image stands on is not revoked, and not older than that. */
#include <ingot/error.h>
#include <string.h>

#include "base/text.h"
#include "server/channel/gateevidence.h"
#include "server/channel/gatekinds.h"
#include "server/channel/gatesettings.h"
#include "server/channel/state.h"
#include "server/storage/bases.h"
#include "server/storage/states.h"

#define MANIFEST_VALUES 100000 /* of JSON */

static gboolean base_check(const json_t *settings, GString *path, GError **error)
{
    static const char *const names[] = {"newer_than", NULL};
    return settings_map(settings, names, NULL, path, error) && settings_duration(settings, "newer_than", path, error);
}

/* The nearest of the bases that is revoked: its digest, and the reason where the image's own repository says so: others
 * may not be for whoever promotes (free both). NULL: none. */
static gboolean find_revoked(const GateCase *its, char **base, char **reason, GError **error)
{
    GError *problem = NULL;
    g_autoptr(json_t) states = storage_states(its->storage, its->name, &its->digest, &problem);
    const json_t *bases = json_object_get(states, "bases");
    for (size_t i = 0; *base == NULL && i < json_array_size(bases); i++) {
        const json_t *one = json_array_get(bases, i), *said = state_of_base(one, its->now);
        if (lifecycle_of(said) == LIFECYCLE_REVOKED) {
            *base = g_strdup(json_string_value(json_object_get(one, "digest")));
            *reason = strcmp(json_string_value(json_object_get(one, "name")), its->name) == 0
                          ? g_strdup(json_string_value(json_object_get(said, "reason")))
                          : NULL;
        }
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    return TRUE;
}

/* When an image that some repository has was made, in seconds; 0: nobody here knows. */
static gint64 created_at(const GateCase *its, const IngotDigest *image)
{
    g_auto(GStrv) holders = storage_holders(its->storage, image, NULL);
    for (guint i = 0; holders != NULL && holders[i] != NULL; i++) {
        g_autofree char *type = NULL;
        g_autoptr(GBytes) bytes = storage_manifest(its->storage, holders[i], image, &type, NULL);
        g_autoptr(json_t) root = ingot_json_parse_bytes(bytes, "manifest", MANIFEST_VALUES, NULL);
        const char *text = json_string_value(
            json_object_get(json_object_get(root, "annotations"), "org.opencontainers.image.created"));
        gint64 created = evidence_time(text);
        if (created != 0) {
            return created;
        }
    }
    return 0;
}

static void judge_age(const GateCase *its, const IngotDigest *base, gint64 most, GateVerdict *verdict)
{
    g_autofree char *text = ingot_digest_to_text(base), *allowed = ingot_text_duration((double)most);
    gint64 created = created_at(its, base);
    g_autofree char *age = ingot_text_duration((double)MAX(its->now - created, 0));
    verdict->passed = created != 0 && created <= its->now && its->now - created <= most;
    if (created == 0) {
        verdict->why =
            g_strdup_printf("its base %.19s is not in this registry, or does not say when it was made", text);
        verdict->mend = g_strdup("push the base here as well");
    } else if (created > its->now) {
        verdict->why = g_strdup_printf("its base %.19s is dated in the future: a clock is wrong", text);
        verdict->mend = g_strdup("set the clock where bases are baked, and bake this one again");
    } else {
        verdict->why = g_strdup_printf("its base %.19s was made %s ago, and may be %s old", text, age, allowed);
        verdict->mend = verdict->passed ? NULL : g_strdup("bake it on a newer base, and promote that");
    }
}

static gboolean base_judge(const GateCase *its, const json_t *settings, GateVerdict *verdict, GError **error)
{
    g_autofree char *revoked = NULL, *reason = NULL;
    gint64 most = settings_seconds(settings, "newer_than");
    g_autoptr(GArray) bases = storage_bases(its->storage, &its->digest, error);
    if (bases == NULL || !find_revoked(its, &revoked, &reason, error)) {
        return FALSE;
    }
    if (revoked != NULL) {
        verdict->why = g_strdup_printf("it stands on %.19s, which is revoked%s%s", revoked, reason == NULL ? "" : ": ",
                                       reason == NULL ? "" : reason);
        verdict->mend = g_strdup("bake it on a base that is not revoked, and promote that");
    } else if (bases->len == 0) {
        verdict->why = g_strdup("it does not say which image it stands on");
        verdict->mend = g_strdup("bake it with `source: {from: …}`, which records the base");
    } else if (most > 0) {
        judge_age(its, &g_array_index(bases, StorageBase, 0).digest, most, verdict);
    } else {
        verdict->passed = TRUE;
        verdict->why = g_strdup("nothing that it stands on is revoked");
    }
    return TRUE;
}

const Gate gate_base = {"base", base_check, base_judge};
