/* signed: {keys: [PEM…], identities: [{identity, issuer}…], trusted_root: JSON, count: n}. So many of the keys and
 * identities have signed this very digest: identities by certificates that count by the trusted root. */
#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "server/channel/gateevidence.h"
#include "server/channel/gatekinds.h"
#include "server/channel/gatesettings.h"

#define SIGNERS_MOST 100u
#define ROOT_MAX (64u << 10) /* bytes of a trusted root */

/* --- settings --- */

static gboolean identity_check(const json_t *one, const char *place, GString *path, GError **error)
{
    const char *identity = json_string_value(json_object_get(one, "identity"));
    const char *issuer = json_string_value(json_object_get(one, "issuer"));
    return (json_object_size(one) == 2 && identity != NULL && *identity != '\0' && issuer != NULL && *issuer != '\0') ||
           settings_wrong(path, place, error, "{identity: WHO, issuer: URL} is expected");
}

static gboolean identities_check(const json_t *settings, GString *path, GError **error)
{
    const json_t *list = json_object_get(settings, "identities");
    if (list != NULL && (json_array_size(list) == 0 || json_array_size(list) > SIGNERS_MOST)) {
        return settings_wrong(path, "identities", error, "a list of 1 to %u identities is expected", SIGNERS_MOST);
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        g_autofree char *place = g_strdup_printf("identities/%zu", i);
        if (!identity_check(json_array_get(list, i), place, path, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* It is there if identities are, and the other way round. */
static gboolean root_check(const json_t *settings, GString *path, GError **error)
{
    const json_t *value = json_object_get(settings, "trusted_root");
    const char *text = json_string_value(value);
    g_autoptr(GError) problem = NULL;
    if ((value == NULL) != (json_object_get(settings, "identities") == NULL)) {
        return settings_wrong(path, value == NULL ? "identities" : "trusted_root", error,
                              "'identities' and 'trusted_root' belong together");
    }
    if (value == NULL) {
        return TRUE;
    }
    if (text == NULL || strlen(text) > ROOT_MAX) {
        return settings_wrong(path, "trusted_root", error, "the text of a trusted root is expected, of at most %u KiB",
                              ROOT_MAX >> 10);
    }
    g_autoptr(TrustedRoot) root = trusted_root_parse(text, strlen(text), "the trusted root", &problem);
    return root != NULL || settings_wrong(path, "trusted_root", error, "%s", problem->message);
}

static gboolean signed_check(const json_t *settings, GString *path, GError **error)
{
    static const char *const names[] = {"keys", "identities", "trusted_root", "count", NULL};
    const json_t *identities = json_object_get(settings, "identities");
    if (!settings_map(settings, names, identities == NULL ? "keys" : NULL, path, error) ||
        !settings_keys(settings, "keys", path, error) || !identities_check(settings, path, error) ||
        !root_check(settings, path, error) || !settings_count(settings, "count", 2 * SIGNERS_MOST, path, error)) {
        return FALSE;
    }
    gsize signers = json_array_size(json_object_get(settings, "keys")) + json_array_size(identities);
    return settings_number(settings, "count") <= signers ||
           settings_wrong(path, "count", error,
                          "more signatures are asked for than there are keys and identities (%zu): nothing could pass",
                          signers);
}

/* --- the verdict --- */

/* Whose signatures count, and who of them has signed. */
typedef struct {
    GPtrArray *keys;       /* of TrustKey */
    TrustedRoot *root;     /* NULL: no identities count */
    GArray *identities;    /* of TrustIdentity; the texts are the settings' */
    GHashTable *by_key;    /* by fingerprint: the same key twice is one */
    GHashTable *by_person; /* by identity and issuer, likewise */
} Signers;

static void signers_clear(Signers *signers)
{
    g_clear_pointer(&signers->keys, g_ptr_array_unref);
    g_clear_pointer(&signers->root, trusted_root_free);
    g_clear_pointer(&signers->identities, g_array_unref);
    g_clear_pointer(&signers->by_key, g_hash_table_unref);
    g_clear_pointer(&signers->by_person, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Signers, signers_clear)

static gboolean signers_read(const json_t *settings, Signers *signers, GError **error)
{
    const json_t *list = json_object_get(settings, "identities");
    const char *text = json_string_value(json_object_get(settings, "trusted_root"));
    signers->keys = settings_read_keys(settings, "keys");
    signers->keys = signers->keys == NULL ? g_ptr_array_new() : signers->keys;
    signers->identities = g_array_new(FALSE, FALSE, sizeof(TrustIdentity));
    signers->by_key = g_hash_table_new(ingot_digest_hash, ingot_digest_equal);
    signers->by_person = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const TrustIdentity identity = {json_string_value(json_object_get(one, "identity")),
                                        json_string_value(json_object_get(one, "issuer"))};
        if (identity.identity != NULL && identity.issuer != NULL) {
            g_array_append_val(signers->identities, identity);
        }
    }
    if (signers->keys->len + signers->identities->len == 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "no keys are given");
        return FALSE;
    }
    signers->root = text == NULL ? NULL : trusted_root_parse(text, strlen(text), "the trusted root", error);
    return text == NULL || signers->root != NULL;
}

static void note_signer(const Evidence *one, gpointer user)
{
    const Signers *signers = user;
    if (one->identity == NULL) {
        g_hash_table_add(signers->by_key, (gpointer)trust_key_fingerprint(g_ptr_array_index(signers->keys, one->key)));
    } else {
        g_hash_table_add(signers->by_person, g_strconcat(one->identity->identity, "\n", one->identity->issuer, NULL));
    }
}

static void signed_mend(const GateCase *its, const Signers *signers, guint lacking, GateVerdict *verdict)
{
    g_autofree char *image = gate_image(its);
    if (signers->identities->len == 0) {
        verdict->mend = g_strdup_printf("run `ingot sign %s --key KEY` with %u more of the keys", image, lacking);
        return;
    }
    verdict->mend = g_strdup_printf("have %s signed by %u more of those that count: an identity signs by cosign%s",
                                    image, lacking, signers->keys->len == 0 ? "" : ", a key by `ingot sign`");
}

static gboolean signed_judge(const GateCase *its, const json_t *settings, GateVerdict *verdict, GError **error)
{
    g_auto(EvidenceReading) reading = {0};
    g_auto(Signers) all = {0};
    if (!signers_read(settings, &all, error)) {
        return FALSE;
    }
    const TrustSigners signers = {
        .keys = (TrustKey *const *)all.keys->pdata,
        .count = all.keys->len,
        .identities = {all.root, (const TrustIdentity *)(gpointer)all.identities->data, all.identities->len}};
    if (!evidence_signed(its, TRUST_SIGNED_PREDICATE, &signers, &reading, note_signer, &all, error)) {
        return FALSE;
    }
    guint wanted = settings_number(settings, "count");
    guint got = g_hash_table_size(all.by_key) + g_hash_table_size(all.by_person);
    g_autofree char *refusals = evidence_refusals(&reading);
    g_autofree char *told = g_strdup_printf("it is signed by %u of the %u %s", got, all.keys->len + all.identities->len,
                                            all.identities->len == 0 ? "keys"
                                            : all.keys->len == 0     ? "identities"
                                                                     : "keys and identities");
    verdict->passed = got >= wanted;
    verdict->why =
        verdict->passed ? g_steal_pointer(&told) : g_strdup_printf("%s, and needs %u%s", told, wanted, refusals);
    if (!verdict->passed) {
        signed_mend(its, &all, wanted - got, verdict);
    }
    return TRUE;
}

const Gate gate_signed = {"signed", signed_check, signed_judge};
