/* required, or required: {keys: [PEM…]}. The image was built with what the pipeline requires of every build today, and
 * each of the required tests has passed. By what it was built is in its config, which whoever pushes it writes: with
 * keys, provenance that one of them has signed must say so too. */
#include <ingot/error.h>
#include <ingot/manifest.h>

#include "base/json.h"
#include "evidence/provenance.h"
#include "evidence/requirement.h"
#include "server/channel/gateevidence.h"
#include "server/channel/gatekinds.h"
#include "server/channel/gatesettings.h"

#define MANIFEST_VALUES 100000u /* of JSON */
#define CONFIG_MAX (4u << 20)   /* bytes */

static gboolean required_check(const json_t *settings, GString *path, GError **error)
{
    static const char *const names[] = {"keys", NULL};
    return settings_map(settings, names, NULL, path, error) && settings_keys(settings, "keys", path, error);
}

/* The image's config; null where it is none that anybody could have built with a requirement. NULL: it can't be read.
 */
static json_t *required_config(const GateCase *its, GError **error)
{
    g_autofree char *type = NULL;
    IngotDigest digest;
    g_autoptr(GBytes) manifest = storage_manifest(its->storage, its->name, &its->digest, &type, error);
    if (manifest == NULL) {
        return NULL;
    }
    g_autoptr(json_t) root = ingot_json_parse_bytes(manifest, "the image", MANIFEST_VALUES, NULL);
    const char *text = json_string_value(json_object_get(json_object_get(root, "config"), "digest"));
    if (text == NULL || !storage_digest(its->storage, text, &digest, NULL)) {
        return json_null();
    }
    g_autoptr(StorageBlob) blob = storage_blob(its->storage, its->name, &digest, error);
    guint64 size = blob == NULL ? 0 : storage_blob_size(blob);
    if (blob == NULL || size > CONFIG_MAX) {
        return blob == NULL ? NULL : json_null();
    }
    g_autofree char *bytes = g_malloc(size + 1);
    if (!storage_blob_read_all(blob, 0, bytes, size, error)) {
        return NULL;
    }
    json_t *config = ingot_json_parse(bytes, size, "the image's config", NULL);
    return config == NULL ? json_null() : config;
}

/* The requirement's digest, as an image says it. Free it. */
static char *required_today(const GateCase *its)
{
    IngotDigest wanted;
    requirement_digest(its->require, &wanted);
    return ingot_digest_to_text(&wanted);
}

/* Whether the image's config says that it was built with today's requirement. */
static gboolean judge_config(const GateCase *its, const json_t *config, GateVerdict *verdict)
{
    g_autofree char *today = required_today(its);
    const char *said = json_string_value(json_object_get(json_object_get(config, REQUIREMENT_CONFIG_KEY), "digest"));
    if (g_strcmp0(said, today) == 0) {
        return TRUE;
    }
    verdict->why = said == NULL ? g_strdup("it was not built with what the pipeline requires of every build")
                                : g_strdup_printf("it was built with another requirement (%.19s) than today's (%.19s)",
                                                  said, today);
    verdict->mend = g_strdup_printf("build it with `ingot build --for HOST/%s RECIPE`, and push that", its->name);
    return FALSE;
}

/* What signed provenance says of the build. */
typedef struct {
    const char *today;
    guint count;
    gboolean proved;
} Proof;

static void note_proof(const Evidence *one, gpointer user)
{
    Proof *proof = user;
    g_autoptr(Provenance) provenance = provenance_read(one->statement, NULL);
    proof->count++;
    proof->proved |= provenance != NULL && g_strcmp0(provenance->required, proof->today) == 0;
}

/* Whether one of the keys, where there are any, has signed the same. *proved: it has. */
static gboolean judge_proof(const GateCase *its, const json_t *settings, gboolean *proved, GateVerdict *verdict,
                            GError **error)
{
    g_auto(EvidenceReading) reading = {0};
    g_autoptr(GPtrArray) keys = settings_read_keys(settings, "keys");
    g_autofree char *today = required_today(its);
    Proof proof = {.today = today, .proved = keys == NULL};
    if (keys != NULL && !evidence_statements(its, PROVENANCE_PREDICATE, keys, &reading, note_proof, &proof, error)) {
        return FALSE;
    }
    *proved = proof.proved;
    if (proof.proved) {
        return TRUE;
    }
    g_autofree char *refusals = evidence_refusals(&reading);
    verdict->why =
        proof.count == 0
            ? g_strdup_printf("no provenance about it that one of the gate's keys has signed counts%s", refusals)
            : g_strdup_printf("its signed provenance does not say that it was built with what the pipeline"
                              " requires today (%.19s)",
                              today);
    verdict->mend = evidence_sign(its, "provenance");
    return TRUE;
}

/* The settings by which the gate `tested` asks for each required test. */
static json_t *required_tests(const GateCase *its, const json_t *settings)
{
    json_t *recipes = json_array();
    const json_t *tests = json_object_get(its->require, "tests");
    for (gsize i = 0; i < json_array_size(tests); i++) {
        IngotDigest digest;
        if (requirement_test_digest(json_array_get(tests, i), &digest)) {
            g_autofree char *text = ingot_digest_to_text(&digest);
            json_array_append_new(recipes, json_string(text));
        }
    }
    json_t *asked = ingot_json_pack("{s:o}", "recipes", recipes);
    json_t *keys = json_object_get(settings, "keys");
    if (keys != NULL) {
        json_object_set(asked, "keys", keys);
    }
    return asked;
}

static gboolean required_judge(const GateCase *its, const json_t *settings, GateVerdict *verdict, GError **error)
{
    if (its->require == NULL) {
        verdict->passed = TRUE;
        verdict->why = g_strdup("the pipeline requires nothing of a build");
        return TRUE;
    }
    g_autoptr(json_t) config = required_config(its, error);
    if (config == NULL || !judge_config(its, config, verdict)) {
        return config != NULL;
    }
    gboolean proved;
    if (!judge_proof(its, settings, &proved, verdict, error)) {
        return FALSE;
    }
    if (!proved) {
        return TRUE;
    }
    g_autoptr(json_t) tests = required_tests(its, settings);
    if (json_array_size(json_object_get(tests, "recipes")) > 0) {
        return gate_tested.judge(its, tests, verdict, error);
    }
    verdict->passed = TRUE;
    verdict->why = g_strdup("it was built with what the pipeline requires");
    return TRUE;
}

const Gate gate_required = {"required", required_check, required_judge};
