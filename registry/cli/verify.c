#include <ingot/error.h>
#include <ingot/transfer.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/common.h"
#include "cli/signers.h"
#include "cli/verbs.h"
#include "transfer/asks.h"
#include "trust/keyfile.h"

static gboolean verify_store(const IngotReference *reference, Signers *signers, GError **error)
{
    g_autoptr(IngotStore) store = cli_store_to_read();
    g_autoptr(IngotImage) image = ingot_store_image(store, reference, error);
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

/* A tag that moves may name another image in its registry than it does in the store: the one that a pull takes is
 * verified. */
static gboolean verify_where(const char *when, const IngotReference *reference, IngotPull *pull, GError **error)
{
    gboolean moves = reference->digest == NULL && (reference->tag == NULL || !ingot_tag_is_version(reference->tag));
    if (when == NULL && moves && reference->host != NULL) {
        *pull = INGOT_PULL_ALWAYS;
        return TRUE;
    }
    return ingot_pull_parse(when, reference, pull, error);
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
    return signers_of_registry(reference, signers, error);
}

/* One that counts is enough. */
static gboolean verify_all(const Signers *signers, const GPtrArray *keys, const char *type, GError **error)
{
    gboolean verified;
    g_autoptr(json_t) rows = signers_judge(signers, keys, type, &verified);
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

static gboolean run(int argc, char **argv, GError **error)
{
    g_auto(GStrv) paths = NULL;
    g_autofree char *when = NULL, *type = NULL;
    const GOptionEntry entries[] = {
        {"key", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &paths, "a public key; given several times, any of them counts",
         "FILE"},
        {"type", 0, 0, G_OPTION_ARG_STRING, &type, "want a signed statement of this predicate type", "TYPE"},
        {"pull", 0, 0, G_OPTION_ARG_STRING, &when,
         "ask the registry: missing (where the store has none), always (the default of a tag that moves), never",
         "WHEN"},
        G_OPTION_ENTRY_NULL,
    };
    if (!ingot_command_options(&verb_verify, entries, 1, 1, &argc, &argv, error)) {
        return FALSE;
    }
    if (paths == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "--key FILE is missing: a public key whose signature counts");
        return FALSE;
    }
    IngotPull pull;
    g_auto(Signers) signers = {0};
    g_autoptr(IngotReference) reference = ingot_reference_parse(argv[1], error);
    g_autoptr(GPtrArray) keys =
        reference == NULL || !verify_where(when, reference, &pull, error) ? NULL : trust_keyfile_read_all(paths, error);
    return keys != NULL && verify_find(reference, pull, &signers, error) && verify_all(&signers, keys, type, error);
}

const IngotVerb verb_verify = {
    "verify", "REF --key PUBLIC", "check who has signed an image",
    "Prints each signature found, and whether it counts: by one of the keys, about this very image. The exit status\n"
    "is 0 where one counts, 3 where none does, 1 where none does but not all could be read. A registry's tag that may\n"
    "move, as those of channels do, is looked up there; a version or a digest that the store has is verified in the\n"
    "store, without a network; --pull says otherwise. The keys decide alone: entries of transparency logs are not\n"
    "looked at, and signatures by certificates (Fulcio) never count. With -q the digest alone is printed, by which to\n"
    "pull what was verified, wherever the tag goes.\n\n"
    "Examples:\n  ingot verify registry.example/team/web:prod --key release.key.pub\n"
    "  ingot verify web:1.0.0 --key ci.key.pub --type https://in-toto.io/attestation/test-result/v0.1\n",
    run};
