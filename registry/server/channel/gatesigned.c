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

/* The same key twice is one. */
static guint count_signers(const EvidenceList *list, const GPtrArray *keys)
{
    g_autoptr(GHashTable) signers = g_hash_table_new(ingot_digest_hash, ingot_digest_equal);
    for (guint i = 0; i < list->found->len; i++) {
        const Evidence *one = g_ptr_array_index(list->found, i);
        g_hash_table_add(signers, (gpointer)trust_key_fingerprint(g_ptr_array_index(keys, one->key)));
    }
    return g_hash_table_size(signers);
}

static gboolean signed_judge(const GateCase *its, const json_t *settings, GateVerdict *verdict, GError **error)
{
    g_auto(EvidenceList) list = {0};
    g_autoptr(GPtrArray) keys = settings_read_keys(settings, "keys");
    if (keys == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "no keys are given");
        return FALSE;
    }
    if (!evidence_statements(its, TRUST_SIGNED_PREDICATE, keys, &list, error)) {
        return FALSE;
    }
    guint wanted = settings_number(settings, "count"), got = count_signers(&list, keys);
    g_autofree char *refusals = evidence_refusals(&list);
    verdict->passed = got >= wanted;
    verdict->why =
        g_strdup_printf("%u of the %u keys have signed it%s", got, keys->len, verdict->passed ? "" : refusals);
    verdict->mend = verdict->passed ? NULL : g_strdup_printf("`ingot sign` it with %u more of the keys", wanted - got);
    return TRUE;
}

const Gate gate_signed = {"signed", signed_check, signed_judge};
