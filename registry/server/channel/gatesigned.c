/* signed: {keys: [PEM…], count: n}. So many of the keys have signed this very digest. */
#include <ingot/error.h>

#include "server/channel/gateevidence.h"
#include "server/channel/gatekinds.h"
#include "server/channel/gatesettings.h"
#include "trust/bundle.h"
#include "trust/key.h"

#define KEYS_MOST 100u

static gboolean signed_check(const json_t *settings, GString *path, GError **error)
{
    static const char *const names[] = {"keys", "count", NULL};
    if (!settings_map(settings, names, "keys", path, error) || !settings_keys(settings, "keys", path, error) ||
        !settings_count(settings, "count", KEYS_MOST, path, error)) {
        return FALSE;
    }
    gsize keys = json_array_size(json_object_get(settings, "keys"));
    return settings_number(settings, "count") <= keys ||
           settings_wrong(path, "count", error,
                          "more signatures are asked for than there are keys (%zu): nothing could pass", keys);
}

typedef struct {
    const GPtrArray *keys;
    GHashTable *signers; /* by fingerprint: the same key twice is one */
} Signers;

static void note_signer(const Evidence *one, gpointer user)
{
    const Signers *signers = user;
    g_hash_table_add(signers->signers, (gpointer)trust_key_fingerprint(g_ptr_array_index(signers->keys, one->key)));
}

static gboolean signed_judge(const GateCase *its, const json_t *settings, GateVerdict *verdict, GError **error)
{
    g_auto(EvidenceReading) reading = {0};
    g_autoptr(GPtrArray) keys = settings_read_keys(settings, "keys");
    g_autoptr(GHashTable) fingerprints = g_hash_table_new(ingot_digest_hash, ingot_digest_equal);
    Signers signers = {keys, fingerprints};
    if (keys == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "no keys are given");
        return FALSE;
    }
    if (!evidence_statements(its, TRUST_SIGNED_PREDICATE, keys, &reading, note_signer, &signers, error)) {
        return FALSE;
    }
    guint wanted = settings_number(settings, "count"), got = g_hash_table_size(fingerprints);
    g_autofree char *refusals = evidence_refusals(&reading);
    verdict->passed = got >= wanted;
    if (verdict->passed) {
        verdict->why = g_strdup_printf("it is signed by %u of the %u keys", got, keys->len);
        return TRUE;
    }
    g_autofree char *image = gate_image(its);
    verdict->why =
        g_strdup_printf("it is signed by %u of the %u keys, and needs %u%s", got, keys->len, wanted, refusals);
    verdict->mend = g_strdup_printf("run `ingot sign %s --key KEY` with %u more of the keys", image, wanted - got);
    return TRUE;
}

const Gate gate_signed = {"signed", signed_check, signed_judge};
