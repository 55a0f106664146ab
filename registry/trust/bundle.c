#include "trust/bundle.h"

#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "trust/base64.h"
#include "trust/dsse.h"
#include "trust/intoto.h"

#define VALUES_MOST (1u << 14) /* of JSON: entries of a log have a few hundred */
#define SIGNATURE_MOST 4096u   /* bytes: more than any known kind has */

void trust_result_clear(TrustResult *result)
{
    g_clear_pointer(&result->statement, g_bytes_unref);
    g_clear_pointer(&result->predicate_type, g_free);
    g_clear_pointer(&result->name, g_free);
}

static gboolean bundle_corrupt(GError **error, const char *why)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "not a Sigstore bundle: %s", why);
    return FALSE;
}

static gboolean bundle_denied(GError **error, const char *why)
{
    g_set_error_literal(error, INGOT_ERROR, INGOT_ERROR_DENIED, why);
    return FALSE;
}

/* How it was signed: by a key, or, where there is a trusted root, by a certificate. */
static gboolean bundle_check_material(const json_t *root, gboolean has_root, GError **error)
{
    const json_t *material = json_object_get(root, "verificationMaterial");
    const char *type = json_string_value(json_object_get(root, "mediaType"));
    if (!json_is_object(root) || type == NULL) {
        return bundle_corrupt(error, "it has no mediaType");
    }
    if (strcmp(type, TRUST_BUNDLE_TYPE) != 0) {
        return bundle_denied(error, "it is of another version than v0.3, the only one that is read");
    }
    if (json_object_get(material, "x509CertificateChain") != NULL) {
        return bundle_denied(error,
                             "it brings a chain of certificates (Fulcio) along, which version 0.3 does not know");
    }
    if (json_object_get(material, "certificate") != NULL) {
        return has_root || bundle_denied(error, "it is signed by a certificate for an identity (Fulcio), which counts "
                                                "by a trusted root alone: here a signature by a key is needed");
    }
    return json_is_object(json_object_get(material, "publicKey")) ||
           bundle_corrupt(error, "verificationMaterial has no publicKey and no certificate");
}

static GBytes *bundle_signature(const json_t *holder, const char *member, GError **error)
{
    const char *text = json_string_value(json_object_get(holder, member));
    GBytes *signature = text == NULL ? NULL : base64_read(text, SIGNATURE_MOST);
    if (signature == NULL) {
        bundle_corrupt(error, "its signature is not base64, or missing");
    }
    return signature;
}

/* Whose signature it is: a key's number, or an identity. What the bundle says of the key is a hint, which nobody need
 * believe. */
static gboolean bundle_signer(const json_t *root, SignedFact *fact, const TrustSigners *signers, TrustResult *signer,
                              GError **error)
{
    const json_t *material = json_object_get(root, "verificationMaterial");
    if (json_object_get(material, "certificate") != NULL) {
        signer->identity = keyless_verify(material, fact, &signers->identities, error);
        return signer->identity != NULL;
    }
    gsize size;
    const void *bytes = g_bytes_get_data(fact->signature, &size);
    for (signer->key = 0; signer->key < signers->count; ++signer->key) {
        if (trust_key_verify(signers->keys[signer->key], &fact->digest, bytes, size)) {
            return TRUE;
        }
    }
    return bundle_denied(error, "it is not signed by a key that was given, or was changed since");
}

static gboolean bundle_read_envelope(const json_t *envelope, GBytes **payload, GBytes **signature, GError **error)
{
    const char *type = json_string_value(json_object_get(envelope, "payloadType"));
    const char *text = json_string_value(json_object_get(envelope, "payload"));
    const json_t *signatures = json_object_get(envelope, "signatures");
    if (type == NULL || text == NULL || json_array_size(signatures) != 1) {
        return bundle_corrupt(error, "its envelope needs payloadType, payload and one signature");
    }
    if (strcmp(type, DSSE_STATEMENT) != 0) {
        return bundle_denied(error, "what it signs is not an in-toto statement (payloadType)");
    }
    *payload = base64_read(text, TRUST_BUNDLE_MAX);
    if (*payload == NULL) {
        return bundle_corrupt(error, "its payload is not base64");
    }
    *signature = bundle_signature(json_array_get(signatures, 0), "sig", error);
    return *signature != NULL;
}

/* The signature first: nothing is read of a statement that nobody has signed. */
static gboolean bundle_verify_envelope(const json_t *root, const TrustSigners *signers, const IngotDigest *image,
                                       TrustResult *result, GError **error)
{
    g_autoptr(GBytes) payload = NULL, signature = NULL;
    if (!bundle_read_envelope(json_object_get(root, "dsseEnvelope"), &payload, &signature, error)) {
        return FALSE;
    }
    gsize size;
    const void *bytes = g_bytes_get_data(payload, &size);
    g_autoptr(GBytes) pae = dsse_pae(DSSE_STATEMENT, bytes, size);
    g_auto(Intoto) statement = {0};
    SignedFact fact = {.payload = payload, .signature = signature};
    TrustResult signer = {0};
    ingot_digest_of(g_bytes_get_data(pae, NULL), g_bytes_get_size(pae), &fact.digest);
    if (!bundle_signer(root, &fact, signers, &signer, error) || !intoto_read(bytes, size, image, &statement, error)) {
        return FALSE;
    }
    signer.statement = g_steal_pointer(&payload);
    signer.predicate_type = g_steal_pointer(&statement.predicate_type);
    signer.name = g_steal_pointer(&statement.name);
    *result = signer;
    return TRUE;
}

/* Of the manifest's bytes, whose SHA-256 is the image's digest. */
static gboolean bundle_verify_message(const json_t *root, const TrustSigners *signers, const IngotDigest *image,
                                      TrustResult *result, GError **error)
{
    const json_t *message = json_object_get(root, "messageSignature");
    const json_t *told = json_object_get(message, "messageDigest");
    const char *algorithm = json_string_value(json_object_get(told, "algorithm"));
    const char *text = json_string_value(json_object_get(told, "digest"));
    g_autofree char *own = base64_write(image->bytes, sizeof image->bytes);
    if (told != NULL && g_strcmp0(algorithm, "SHA2_256") != 0) {
        return bundle_denied(error, "what it signs is hashed by another algorithm than SHA2_256");
    }
    if (told != NULL && g_strcmp0(text, own) != 0) {
        return bundle_denied(error, "it is about another image");
    }
    g_autoptr(GBytes) signature = bundle_signature(message, "signature", error);
    SignedFact fact = {.digest = *image, .signature = signature};
    TrustResult signer = {0};
    if (signature == NULL || !bundle_signer(root, &fact, signers, &signer, error)) {
        return FALSE;
    }
    *result = signer;
    return TRUE;
}

gboolean trust_bundle_verify(const void *bundle, gsize size, const TrustSigners *signers, const IngotDigest *image,
                             TrustResult *result, GError **error)
{
    gsize room = VALUES_MOST;
    g_autoptr(GError) problem = NULL;
    memset(result, 0, sizeof *result);
    if (size > TRUST_BUNDLE_MAX) {
        return bundle_corrupt(error, "it has more than 4 MiB");
    }
    g_autoptr(json_t) root = ingot_json_parse_within(bundle, size, "bundle", &room, &problem);
    if (root == NULL) {
        return bundle_corrupt(error, problem->message);
    }
    if (!bundle_check_material(root, signers->identities.root != NULL, error)) {
        return FALSE;
    }
    const json_t *envelope = json_object_get(root, "dsseEnvelope"),
                 *message = json_object_get(root, "messageSignature");
    if ((envelope == NULL) == (message == NULL)) {
        return bundle_corrupt(error, "either dsseEnvelope or messageSignature is expected");
    }
    return envelope != NULL ? bundle_verify_envelope(root, signers, image, result, error)
                            : bundle_verify_message(root, signers, image, result, error);
}

char *trust_bundle_sign(const TrustKey *key, const char *statement, GError **error)
{
    const IngotDigest *fingerprint = trust_key_fingerprint(key);
    gsize size = strlen(statement);
    g_autoptr(GBytes) pae = dsse_pae(DSSE_STATEMENT, statement, size);
    g_autoptr(GBytes) signature = trust_key_sign(key, g_bytes_get_data(pae, NULL), g_bytes_get_size(pae), error);
    if (signature == NULL) {
        return NULL;
    }
    g_autofree char *payload = base64_write(statement, size);
    g_autofree char *hint = base64_write(fingerprint->bytes, sizeof fingerprint->bytes);
    g_autofree char *signed_text = base64_write(g_bytes_get_data(signature, NULL), g_bytes_get_size(signature));
    g_autoptr(json_t) root =
        ingot_json_pack("{s:s, s:{s:{s:s}}, s:{s:s, s:s, s:[{s:s}]}}", "mediaType", TRUST_BUNDLE_TYPE,
                        "verificationMaterial", "publicKey", "hint", hint, "dsseEnvelope", "payload", payload,
                        "payloadType", DSSE_STATEMENT, "signatures", "sig", signed_text);
    return json_dumps(root, JSON_COMPACT);
}

json_t *trust_bundle_annotations(const char *type)
{
    g_autofree char *created = ingot_text_time(g_get_real_time() / G_USEC_PER_SEC);
    return ingot_json_pack("{s:s, s:s, s:s}", TRUST_CONTENT_KEY, TRUST_CONTENT_DSSE, TRUST_PREDICATE_KEY, type,
                           "org.opencontainers.image.created", created);
}
