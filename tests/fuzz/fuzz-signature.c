/* Signatures: the input is taken for a bundle, for a public key, and for what a key has signed: a statement, and the
 * payload of one of cosign's older signatures. A result is there where it counts, and an error where it does not. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "trust/base64.h"
#include "trust/bundle.h"
#include "trust/simplesigning.h"

/* That of seeds/signature/envelope and message. */
static const char sample[] = "-----BEGIN PUBLIC KEY-----\n"
                             "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEsmJfjegsDMrrGcKTwckZpgbWq3YB\n"
                             "l9SfYFbISiM86YmBFz3+roVsaNlECPzY5h/ri6razLITjHeb7CbaveV0BA==\n"
                             "-----END PUBLIC KEY-----\n";

static TrustKey *own, *known;
static IngotDigest image;

static void clean_up(void)
{
    trust_key_free(own);
    trust_key_free(known);
}

static void set_up(void)
{
    if (own == NULL) {
        own = trust_key_generate(NULL);
        known = trust_key_read_public(sample, strlen(sample), "sample", NULL);
        g_assert(own != NULL && known != NULL);
        ingot_digest_of("an image", strlen("an image"), &image);
        atexit(clean_up);
    }
}

static void check_result(gboolean counts, const TrustResult *result, const GError *error)
{
    g_assert(counts == (error == NULL));
    g_assert(counts || (result->statement == NULL && result->predicate_type == NULL && result->name == NULL));
    g_assert((result->statement == NULL) == (result->predicate_type == NULL));
}

static void try_bundle(const void *data, gsize size, TrustKey *key)
{
    g_autoptr(GError) error = NULL;
    g_auto(TrustResult) result = {0};
    const TrustSigners signers = {.keys = &key, .count = 1};
    gboolean counts = trust_bundle_verify(data, size, &signers, &image, &result, &error);
    check_result(counts, &result, error);
}

static void try_simple(const void *data, gsize size)
{
    g_autoptr(GError) error = NULL;
    g_auto(TrustResult) result = {0};
    g_autoptr(GBytes) payload = g_bytes_new(data, size), signature = trust_key_sign(own, data, size, NULL);
    g_autofree char *text = base64_write(g_bytes_get_data(signature, NULL), g_bytes_get_size(signature));
    gboolean counts = simple_verify(payload, text, &own, 1, &image, &result, &error);
    check_result(counts, &result, error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    set_up();
    g_autofree char *text = g_strndup((const char *)data, size);
    g_autofree char *signed_text = trust_bundle_sign(own, text, NULL);
    g_autoptr(TrustKey) key = trust_key_read_public(data, size, "input", NULL);
    try_bundle(data, size, known);
    try_bundle(signed_text, strlen(signed_text), own);
    try_simple(data, size);
    return 0;
}
