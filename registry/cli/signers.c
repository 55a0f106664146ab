#include "cli/signers.h"

#include <ingot/error.h>
#include <ingot/transfer.h>
#include <stdio.h>

#include "base/text.h"
#include "cli/common.h"

void signers_clear(Signers *signers)
{
    g_free(signers->reference);
    g_clear_pointer(&signers->signatures, g_ptr_array_unref);
}

gboolean signers_of_registry(IngotReference *reference, gboolean allow, Signers *signers, GError **error)
{
    IngotDescriptor image;
    g_autoptr(IngotRemoteOptions) options = cli_remote_options(allow);
    g_autoptr(IngotRemote) remote = ingot_remote_new(reference->host, options, error);
    g_autoptr(GBytes) manifest =
        remote == NULL ? NULL : ingot_transfer_image_manifest(remote, reference, &image, error);
    if (manifest == NULL) {
        return FALSE;
    }
    signers->reference = ingot_reference_to_text(reference);
    signers->place = "the registry";
    signers->asked = TRUE;
    signers->image = image.digest;
    signers->signatures = signatures_of_registry(remote, reference->name, &image.digest, error);
    return signers->signatures != NULL;
}

/* What is said of one signature. */
static json_t *judge_one(const Signature *signature, const TrustSigners *trusted, const IngotDigest *image,
                         const char *type, gboolean *counts)
{
    g_auto(TrustResult) result = {0};
    g_autoptr(GError) why = NULL;
    g_autofree char *key = NULL;
    *counts = signature_counts(signature, trusted, image, type, &result, &why);
    if (*counts && result.identity == NULL) {
        key = ingot_digest_to_text(trust_key_fingerprint(trusted->keys[result.key]));
    }
    json_t *row = ingot_json_pack("{s:s?, s:s, s:b, s:b, s:s*}", "signature", signature->manifest, "kind",
                                  signature->older == NULL ? "bundle" : "cosign .sig", "counts", *counts, "read",
                                  !signature->unread, "key", key);
    ingot_json_set_string(row, "identity", result.identity == NULL ? NULL : result.identity->identity);
    ingot_json_set_string(row, "issuer", result.identity == NULL ? NULL : result.identity->issuer);
    ingot_json_set_string(row, "type", result.predicate_type);
    ingot_json_set_string(row, "name", result.name);
    ingot_json_set_string(row, "why", why == NULL ? NULL : why->message);
    return row;
}

json_t *signers_judge(const Signers *signers, const TrustSigners *trusted, const char *type, gboolean *verified)
{
    json_t *rows = json_array();
    *verified = FALSE;
    for (guint i = 0; i < signers->signatures->len; i++) {
        gboolean counts;
        json_array_append_new(
            rows, judge_one(g_ptr_array_index(signers->signatures, i), trusted, &signers->image, type, &counts));
        *verified = *verified || counts;
    }
    return rows;
}

/* Who it counts by, or why it does not. Free it. */
static char *row_text(const json_t *row, gboolean counts)
{
    const char *identity = json_string_value(json_object_get(row, "identity"));
    const char *issuer = json_string_value(json_object_get(row, "issuer"));
    if (identity != NULL) {
        g_autofree char *text = g_strdup_printf("%s, by %s", identity, issuer);
        return ingot_text_line(text);
    }
    return ingot_text_line(json_string_value(json_object_get(row, counts ? "key" : "why")));
}

void signers_print(const json_t *rows)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const char *digest = json_string_value(json_object_get(row, "signature"));
        gboolean counts = json_is_true(json_object_get(row, "counts"));
        g_autofree char *shown = row_text(row, counts);
        printf("%-14s %s%s%s\n",
               counts                                       ? "counts"
               : json_is_true(json_object_get(row, "read")) ? "does not count"
                                                            : "not read",
               digest == NULL ? "" : digest, digest == NULL ? "" : ": ", shown);
    }
}

void signers_refuse(const Signers *signers, GError **error)
{
    g_autofree char *digest = ingot_digest_to_text(&signers->image);
    const GError *unread = signatures_unread(signers->signatures);
    if (unread != NULL) {
        g_set_error(error, unread->domain, unread->code,
                    "%s (%s): none of the signatures that were read counts by those who are trusted, but not all could "
                    "be read: %s",
                    signers->reference, digest, unread->message);
        return;
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_REFUSED, "%s (%s), in %s: %s%s", signers->reference, digest,
                signers->place,
                signers->signatures->len == 0 ? "nothing is signed: `ingot sign` signs it"
                                              : "none of its signatures counts by those who are trusted",
                signers->asked ? "" : " (--pull=always looks in its registry)");
}
