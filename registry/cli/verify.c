#include <ingot/error.h>
#include <ingot/transfer.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/common.h"
#include "cli/signers.h"
#include "cli/verbs.h"
#include "store/meant.h"
#include "transfer/asks.h"
#include "trust/keyfile.h"

static gboolean verify_store(const IngotReference *reference, Signers *signers, GError **error)
{
    g_autoptr(IngotStore) store = cli_store_to_read();
    g_autoptr(IngotImage) image = meant_image_open(store, reference, error);
    if (image == NULL) {
        return FALSE;
    }
    signers->reference = ingot_name_to_text(image->entry->name, image->entry->tag);
    signers->place = "the store";
    signers->asked = reference->host == NULL;
    signers->image = image->entry->manifest.digest;
    signers->signatures = signatures_of_store(store, &signers->image, error);
    return signers->signatures != NULL;
}

static gboolean verify_find(IngotReference *reference, IngotPull pull, Signers *signers, GError **error)
{
    GError *problem = NULL;
    if (pull != INGOT_PULL_ALWAYS && verify_store(reference, signers, &problem)) {
        return TRUE;
    }
    if (!ingot_pull_asks(pull, reference, problem)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_clear_error(&problem);
    return signers_of_registry(reference, FALSE, signers, error);
}

/* One that counts is enough. */
static gboolean verify_all(const Signers *signers, const TrustSigners *trusted, const char *type, GError **error)
{
    gboolean verified;
    g_autoptr(json_t) rows = signers_judge(signers, trusted, type, &verified);
    g_autofree char *digest = ingot_digest_to_text(&signers->image);
    if (ingot_command_common()->json) {
        g_autoptr(json_t) all = ingot_json_pack("{s:s, s:s, s:b, s:O}", "reference", signers->reference, "digest",
                                                digest, "verified", verified, "signatures", rows);
        cli_print_json(all);
    } else if (!ingot_command_common()->quiet) {
        signers_print(rows);
    }
    if (!verified) {
        signers_refuse(signers, error);
    } else if (!ingot_command_common()->json) {
        cli_print_result(signers->reference, &signers->image);
    }
    return verified;
}

/* --- who is trusted --- */

/* As the options have it, and read. */
typedef struct {
    char **key_paths, **identities, **issuers;
    char *root_path;
    GPtrArray *keys;   /* of TrustKey */
    GArray *listed;    /* of TrustIdentity; the texts are the options' */
    TrustedRoot *root; /* NULL: by keys alone */
} Trusted;

static void trusted_clear(Trusted *trusted)
{
    g_strfreev(trusted->key_paths);
    g_strfreev(trusted->identities);
    g_strfreev(trusted->issuers);
    g_free(trusted->root_path);
    g_clear_pointer(&trusted->keys, g_ptr_array_unref);
    g_clear_pointer(&trusted->listed, g_array_unref);
    g_clear_pointer(&trusted->root, trusted_root_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Trusted, trusted_clear)

static gboolean trusted_wrong(GError **error, const char *why)
{
    g_set_error_literal(error, INGOT_ERROR, INGOT_ERROR_INVALID, why);
    return FALSE;
}

static guint trusted_count(char *const *texts)
{
    return texts == NULL ? 0 : g_strv_length((char **)texts);
}

static gboolean trusted_check(const Trusted *trusted, GError **error)
{
    guint identities = trusted_count(trusted->identities), issuers = trusted_count(trusted->issuers);
    if (trusted->root_path == NULL && identities + issuers == 0) {
        return trusted->key_paths != NULL ||
               trusted_wrong(error, "--key FILE is missing: a public key whose signature counts; or --trusted-root "
                                    "FILE with --identity and --issuer");
    }
    if (trusted->root_path == NULL) {
        return trusted_wrong(error, "--trusted-root FILE is missing: who may issue certificates for identities");
    }
    if (identities == 0 || issuers == 0) {
        return trusted_wrong(error, "--trusted-root needs --identity WHO and --issuer URL: whose certificates count");
    }
    return issuers == 1 || issuers == identities ||
           trusted_wrong(error, "give one --issuer for all, or one for each --identity, in their order");
}

static gboolean trusted_read(Trusted *trusted, GError **error)
{
    if (!trusted_check(trusted, error)) {
        return FALSE;
    }
    trusted->listed = g_array_new(FALSE, FALSE, sizeof(TrustIdentity));
    for (guint i = 0; i < trusted_count(trusted->identities); i++) {
        guint issuer = trusted_count(trusted->issuers) == 1 ? 0 : i;
        TrustIdentity one = {trusted->identities[i], trusted->issuers[issuer]};
        g_array_append_val(trusted->listed, one);
    }
    char *none[] = {NULL};
    trusted->keys = trust_keyfile_read_all(trusted->key_paths == NULL ? none : trusted->key_paths, error);
    trusted->root =
        trusted->keys == NULL || trusted->root_path == NULL ? NULL : trusted_root_read(trusted->root_path, error);
    return trusted->keys != NULL && (trusted->root_path == NULL || trusted->root != NULL);
}

static TrustSigners trusted_signers(const Trusted *trusted)
{
    return (TrustSigners){
        .keys = (TrustKey *const *)trusted->keys->pdata,
        .count = trusted->keys->len,
        .identities = {trusted->root, (const TrustIdentity *)(gpointer)trusted->listed->data, trusted->listed->len}};
}

static gboolean verify_reference(const char *text, const char *when, Trusted *trusted, const char *type, GError **error)
{
    IngotPull pull;
    g_auto(Signers) signers = {0};
    g_autoptr(IngotReference) reference = ingot_reference_parse(text, error);
    if (reference == NULL || !ingot_pull_parse_current(when, reference, &pull, error) ||
        !trusted_read(trusted, error) || !verify_find(reference, pull, &signers, error)) {
        return FALSE;
    }
    const TrustSigners all = trusted_signers(trusted);
    return verify_all(&signers, &all, type, error);
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_auto(Trusted) trusted = {0};
    g_autofree char *when = NULL, *type = NULL;
    const GOptionEntry entries[] = {
        {"key", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &trusted.key_paths,
         "a public key, or its URI; given several times, any of them counts", "FILE|URI"},
        {"trusted-root", 0, 0, G_OPTION_ARG_FILENAME, &trusted.root_path,
         "Sigstore's trusted_root.json, by which certificates for identities count", "FILE"},
        {"identity", 0, 0, G_OPTION_ARG_STRING_ARRAY, &trusted.identities,
         "an e-mail address or URI whose certificates count; several times: any", "WHO"},
        {"issuer", 0, 0, G_OPTION_ARG_STRING_ARRAY, &trusted.issuers,
         "who has to vouch for the identity: one for all, or one for each", "URL"},
        {"type", 0, 0, G_OPTION_ARG_STRING, &type, "want a signed statement of this predicate type", "TYPE"},
        {"pull", 0, 0, G_OPTION_ARG_STRING, &when,
         "ask the registry: missing (where the store has none), always (the default of a tag that moves), never",
         "WHEN"},
        G_OPTION_ENTRY_NULL,
    };
    return ingot_command_options(&verb_verify, entries, 1, 1, &argc, &argv, error) &&
           verify_reference(argv[1], when, &trusted, type, error);
}

const IngotVerb verb_verify = {
    "verify", "REF --key PUBLIC | --trusted-root FILE --identity WHO --issuer URL", "check who has signed an image",
    "Prints each signature found, and whether it counts: by one of the keys or identities, about this very image. The\n"
    "exit status is 0 where one counts, 3 where none does, 1 where none does but not all could be read. A registry's\n"
    "tag that may move, as those of channels do, is looked up there; a version or a digest that the store has is\n"
    "verified in the store, without a network; --pull says otherwise. A key decides alone. A certificate for an\n"
    "identity (Fulcio) counts by the trusted root alone, without a network: one of its authorities has issued it, one\n"
    "of its transparency logs has noted the signature, and a time at which the certificate was good is proved. With\n"
    "-q the digest alone is printed, by which to pull what was verified, wherever the tag goes.\n\n"
    "Examples:\n  ingot verify registry.example/team/web:prod --key release.key.pub\n"
    "  ingot verify web:1.0.0 --key ci.key.pub --type https://in-toto.io/attestation/test-result/v0.1\n"
    "  ingot verify web:1.0.0 --trusted-root trusted_root.json --identity ci@example.com --issuer "
    "https://login.example\n",
    run};
