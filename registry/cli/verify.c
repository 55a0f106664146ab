#include <ingot/error.h>
#include <ingot/transfer.h>
#include <stdio.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/common.h"
#include "cli/verbs.h"
#include "remote/environment.h"
#include "transfer/asks.h"
#include "transfer/signatures.h"
#include "trust/keyfile.h"

/* The image's digest, and its signatures: where the image is found. */
typedef struct {
    char *reference;
    IngotDigest image;
    GPtrArray *signatures;
} Found;

static void found_clear(Found *found)
{
    g_free(found->reference);
    g_clear_pointer(&found->signatures, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Found, found_clear)

static gboolean verify_store(const IngotReference *reference, Found *found, GError **error)
{
    g_autoptr(IngotStore) store = cli_store_to_read();
    g_autoptr(IngotImage) image = ingot_store_image(store, reference, error);
    if (image == NULL) {
        return FALSE;
    }
    found->reference = ingot_name_to_text(image->entry->name, image->entry->tag);
    found->image = image->entry->manifest.digest;
    found->signatures = signatures_of_store(store, &found->image, error);
    return found->signatures != NULL;
}

static gboolean verify_registry(IngotReference *reference, Found *found, GError **error)
{
    IngotDescriptor image;
    g_autoptr(IngotRemote) remote = environment_remote(reference->host, error);
    g_autoptr(GBytes) manifest =
        remote == NULL ? NULL : ingot_transfer_image_manifest(remote, reference, &image, error);
    if (manifest == NULL) {
        return FALSE;
    }
    found->reference = ingot_reference_to_text(reference);
    found->image = image.digest;
    found->signatures = signatures_of_registry(remote, reference->name, &image.digest, error);
    return found->signatures != NULL;
}

static gboolean verify_find(IngotReference *reference, IngotPull pull, Found *found, GError **error)
{
    GError *problem = NULL;
    if (pull != INGOT_PULL_ALWAYS && verify_store(reference, found, &problem)) {
        return TRUE;
    }
    if (!ingot_pull_asks(pull, reference, problem)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_clear_error(&problem);
    return verify_registry(reference, found, error);
}

/* What is said of one signature. */
static json_t *verify_one(const Signature *signature, const GPtrArray *keys, const IngotDigest *image, const char *type,
                          gboolean *counts)
{
    g_auto(TrustResult) result = {0};
    g_autoptr(GError) why = NULL;
    g_autofree char *key = NULL;
    *counts = signature_counts(signature, (TrustKey *const *)keys->pdata, keys->len, image, type, &result, &why);
    if (*counts) {
        key = ingot_digest_to_text(trust_key_fingerprint(g_ptr_array_index(keys, result.key)));
    }
    json_t *row = ingot_json_pack("{s:s?, s:s, s:b, s:b, s:s*}", "signature", signature->manifest, "kind",
                                  signature->older == NULL ? "bundle" : "cosign .sig", "counts", *counts, "read",
                                  !signature->unread, "key", key);
    ingot_json_set_string(row, "type", result.predicate_type);
    ingot_json_set_string(row, "name", result.name);
    ingot_json_set_string(row, "why", why == NULL ? NULL : why->message);
    return row;
}

static void verify_print(const json_t *rows)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const char *digest = json_string_value(json_object_get(row, "signature"));
        gboolean counts = json_is_true(json_object_get(row, "counts"));
        const char *text = json_string_value(json_object_get(row, counts ? "key" : "why"));
        g_autofree char *shown = ingot_text_line(text);
        printf("%-14s %s%s%s\n",
               counts                                       ? "counts"
               : json_is_true(json_object_get(row, "read")) ? "does not count"
                                                            : "not read",
               digest == NULL ? "" : digest, digest == NULL ? "" : ": ", shown);
    }
}

/* None counts. That is not known for certain where one was not read: this may be mended, and is not a refusal. */
static void verify_refuse(const Found *found, const char *digest, GError **error)
{
    const GError *unread = signatures_unread(found->signatures);
    if (unread != NULL) {
        g_set_error(error, unread->domain, unread->code,
                    "%s (%s): none of the signatures that were read counts by these keys, but not all could be read: "
                    "%s",
                    found->reference, digest, unread->message);
        return;
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_REFUSED, "%s (%s): %s", found->reference, digest,
                found->signatures->len == 0 ? "nothing is signed: `ingot sign` signs it"
                                            : "none of its signatures counts by these keys");
}

/* One that counts is enough. */
static gboolean verify_all(const Found *found, const GPtrArray *keys, const char *type, GError **error)
{
    gboolean verified = FALSE;
    g_autoptr(json_t) rows = json_array();
    for (guint i = 0; i < found->signatures->len; i++) {
        gboolean counts;
        json_array_append_new(rows,
                              verify_one(g_ptr_array_index(found->signatures, i), keys, &found->image, type, &counts));
        verified = verified || counts;
    }
    g_autofree char *digest = ingot_digest_to_text(&found->image);
    if (ingot_command_common()->json) {
        g_autoptr(json_t) all = ingot_json_pack("{s:s, s:s, s:b, s:O}", "reference", found->reference, "digest", digest,
                                                "verified", verified, "signatures", rows);
        cli_print_json(all);
    } else if (!ingot_command_common()->quiet) {
        verify_print(rows);
    }
    if (!verified) {
        verify_refuse(found, digest, error);
    } else if (!ingot_command_common()->json) {
        cli_print_result(found->reference, &found->image);
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
        CLI_PULL_OPTION(when),
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
    g_auto(Found) found = {0};
    g_autoptr(IngotReference) reference = ingot_reference_parse(argv[1], error);
    g_autoptr(GPtrArray) keys = reference == NULL || !ingot_pull_parse(when, reference, &pull, error)
                                    ? NULL
                                    : trust_keyfile_read_all(paths, error);
    return keys != NULL && verify_find(reference, pull, &found, error) && verify_all(&found, keys, type, error);
}

const IngotVerb verb_verify = {
    "verify", "REF --key PUBLIC", "check who has signed an image",
    "Prints each signature found, and whether it counts: by one of the keys, about this very image. The exit status is "
    "0\n"
    "where one counts, 3 where none does, 1 where none does but not all could be read. What is in the store is "
    "verified there, without a network. The keys decide\n"
    "alone: entries of transparency logs are not looked at, and signatures by certificates (Fulcio) never count.\n\n"
    "Examples:\n  ingot verify registry.example/team/web:prod --key release.key.pub\n"
    "  ingot verify web:1.0.0 --key ci.key.pub --type https://in-toto.io/attestation/test-result/v0.1\n",
    run};
