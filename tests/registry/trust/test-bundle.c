/* Bundles: what was signed counts for its image alone, by its key alone, and nothing else is taken for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <ingot/error.h>

#include "base/json.h"
#include "trust/base64.h"
#include "trust/bundle.h"
#include "trust/dsse.h"
#include "trust/intoto.h"

typedef struct {
    TrustKey *key, *other;
    IngotDigest image;
    char *bundle;
} Case;

static int set_up(void **state)
{
    Case *c = g_new0(Case, 1);
    c->key = trust_key_generate(NULL);
    c->other = trust_key_generate(NULL);
    ingot_digest_of("an image", 8, &c->image);
    g_autoptr(json_t) nothing = json_object();
    g_autofree char *statement = intoto_write(&c->image, "h.example/web:1", TRUST_SIGNED_PREDICATE, nothing);
    c->bundle = trust_bundle_sign(c->key, statement, NULL);
    *state = c;
    return 0;
}

static int tear_down(void **state)
{
    Case *c = *state;
    trust_key_free(c->key);
    trust_key_free(c->other);
    g_free(c->bundle);
    g_free(c);
    return 0;
}

static void counts_for_its_image(void **state)
{
    const Case *c = *state;
    g_autoptr(GError) error = NULL;
    g_auto(TrustResult) result = {0};
    TrustKey *const keys[] = {c->other, c->key};
    assert_true(trust_bundle_verify(c->bundle, strlen(c->bundle), &(TrustSigners){.keys = keys, .count = 2}, &c->image,
                                    &result, &error));
    assert_int_equal(result.key, 1);
    assert_string_equal(result.predicate_type, TRUST_SIGNED_PREDICATE);
    assert_string_equal(result.name, "h.example/web:1");
    assert_non_null(result.statement);
}

static void fails(const Case *c, const char *text, gsize size, const IngotDigest *image, int code, const char *why)
{
    g_autoptr(GError) error = NULL;
    TrustResult result;
    assert_false(trust_bundle_verify(text, size, &(TrustSigners){.keys = &c->key, .count = 1}, image, &result, &error));
    if (!g_error_matches(error, INGOT_ERROR, code) || strstr(error->message, why) == NULL) {
        fail_msg("%s (code %d), not: %s", error->message, error->code, why);
    }
    assert_null(result.statement);
    assert_null(result.predicate_type);
}

static void other_images_and_keys_are_denied(void **state)
{
    const Case *c = *state;
    IngotDigest replayed;
    TrustResult result;
    gsize size = strlen(c->bundle);
    ingot_digest_of("another", 7, &replayed);
    fails(c, c->bundle, size, &replayed, INGOT_ERROR_DENIED, "another image");
    assert_false(
        trust_bundle_verify(c->bundle, size, &(TrustSigners){.keys = &c->other, .count = 1}, &c->image, &result, NULL));
    assert_false(
        trust_bundle_verify(c->bundle, size, &(TrustSigners){.keys = NULL, .count = 0}, &c->image, &result, NULL));
}

/* The bundle, with one of its values set or taken away: PATH is of members, with a slash between. */
static char *changed(const Case *c, const char *path, json_t *value)
{
    json_t *root = ingot_json_parse(c->bundle, strlen(c->bundle), "b", NULL), *at = root;
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);
    guint last = g_strv_length(parts) - 1;
    for (guint i = 0; i < last; i++) {
        at = json_is_array(at) ? json_array_get(at, 0) : json_object_get(at, parts[i]);
    }
    if (value == NULL) {
        json_object_del(at, parts[last]);
    } else {
        json_object_set_new(at, parts[last], value);
    }
    char *text = ingot_json_canonical(root);
    json_decref(root);
    return text;
}

static void bad_bundles_are_refused(void **state)
{
    const Case *c = *state;
    struct {
        const char *path;
        json_t *value;
        int code;
        const char *why;
    } all[] = {
        {"mediaType", NULL, INGOT_ERROR_CORRUPT, "mediaType"},
        {"mediaType", json_string("application/vnd.dev.sigstore.bundle+json;version=0.1"), INGOT_ERROR_DENIED, "v0.3"},
        {"verificationMaterial", NULL, INGOT_ERROR_CORRUPT, "publicKey"},
        {"verificationMaterial/certificate", json_object(), INGOT_ERROR_DENIED, "Fulcio"},
        {"verificationMaterial/x509CertificateChain", json_object(), INGOT_ERROR_DENIED, "Fulcio"},
        {"messageSignature", json_object(), INGOT_ERROR_CORRUPT, "either"},
        {"dsseEnvelope", NULL, INGOT_ERROR_CORRUPT, "either"},
        {"dsseEnvelope/payload", json_string("AAAA"), INGOT_ERROR_DENIED, "not signed"},
        {"dsseEnvelope/payload", json_string("AA AA"), INGOT_ERROR_CORRUPT, "base64"},
        {"dsseEnvelope/payload", json_integer(1), INGOT_ERROR_CORRUPT, "payload"},
        {"dsseEnvelope/payloadType", json_string("text/plain"), INGOT_ERROR_DENIED, "payloadType"},
        {"dsseEnvelope/signatures", json_array(), INGOT_ERROR_CORRUPT, "one signature"},
        {"dsseEnvelope/signatures/0/sig", json_string("AAAA"), INGOT_ERROR_DENIED, "not signed"},
        {"dsseEnvelope/signatures/0/sig", NULL, INGOT_ERROR_CORRUPT, "signature"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(all); i++) {
        g_autofree char *text = changed(c, all[i].path, all[i].value);
        fails(c, text, strlen(text), &c->image, all[i].code, all[i].why);
    }
    for (gsize size = 0; size < strlen(c->bundle); size += 7) {
        fails(c, c->bundle, size, &c->image, INGOT_ERROR_CORRUPT, "not a Sigstore bundle");
    }
    g_autofree char *large = g_strnfill(10u << 20, ' ');
    fails(c, large, 10u << 20, &c->image, INGOT_ERROR_CORRUPT, "4 MiB");
}

/* A statement that is well signed, but not what it should be. */
static void bad_statements_are_refused(void **state)
{
    const Case *c = *state;
    const char *const all[] = {
        "{}",
        "not JSON",
        "{\"_type\":\"https://in-toto.io/Statement/v0.1\",\"subject\":[],\"predicateType\":\"x\"}",
        "{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[],\"predicateType\":\"x\"}",
        "{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[{}]}",
    };
    for (guint i = 0; i < G_N_ELEMENTS(all); i++) {
        g_autofree char *text = trust_bundle_sign(c->key, all[i], NULL);
        fails(c, text, strlen(text), &c->image, INGOT_ERROR_CORRUPT, "statement");
    }
}

static char *message_bundle(const char *algorithm, const IngotDigest *digest, GBytes *signature)
{
    g_autofree char *hash = base64_write(digest->bytes, sizeof digest->bytes);
    g_autofree char *sig = base64_write(g_bytes_get_data(signature, NULL), g_bytes_get_size(signature));
    g_autoptr(json_t) root = ingot_json_pack("{s:s, s:{s:{}}, s:{s:{s:s, s:s}, s:s}}", "mediaType", TRUST_BUNDLE_TYPE,
                                             "verificationMaterial", "publicKey", "messageSignature", "messageDigest",
                                             "algorithm", algorithm, "digest", hash, "signature", sig);
    return ingot_json_canonical(root);
}

static void signatures_of_the_manifest_count(void **state)
{
    const Case *c = *state;
    g_autoptr(GBytes) signature = trust_key_sign(c->key, "an image", 8, NULL);
    g_autofree char *good = message_bundle("SHA2_256", &c->image, signature);
    g_autofree char *hashed = message_bundle("SHA2_384", &c->image, signature);
    g_auto(TrustResult) result = {0};
    IngotDigest replayed;
    ingot_digest_of("another", 7, &replayed);
    g_autofree char *lying = message_bundle("SHA2_256", &replayed, signature);
    assert_true(trust_bundle_verify(good, strlen(good), &(TrustSigners){.keys = &c->key, .count = 1}, &c->image,
                                    &result, NULL));
    assert_null(result.statement);
    fails(c, hashed, strlen(hashed), &c->image, INGOT_ERROR_DENIED, "algorithm");
    fails(c, good, strlen(good), &replayed, INGOT_ERROR_DENIED, "another image");
    fails(c, lying, strlen(lying), &replayed, INGOT_ERROR_DENIED, "not signed");
}

/* The example of DSSE's protocol.md. */
static void encodes_as_published(void **state)
{
    static const char expected[] = "DSSEv1 29 http://example.com/HelloWorld 11 hello world";
    (void)state;
    g_autoptr(GBytes) pae = dsse_pae("http://example.com/HelloWorld", "hello world", 11);
    assert_int_equal(g_bytes_get_size(pae), strlen(expected));
    assert_memory_equal(g_bytes_get_data(pae, NULL), expected, strlen(expected));
}

static void base64_is_strict(void **state)
{
    (void)state;
    g_autoptr(GBytes) good = base64_read("AAE=", 2);
    g_autoptr(GBytes) nothing = base64_read("", 2);
    assert_int_equal(g_bytes_get_size(good), 2);
    assert_int_equal(g_bytes_get_size(nothing), 0);
    assert_null(base64_read("AAE=", 1));
    const char *const bad[] = {"AAE", "AAF=", "AA-_", "AAE=\n", "AAE=AAE=", "A===", "====", "AA E"};
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        assert_null(base64_read(bad[i], 64));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counts_for_its_image, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_images_and_keys_are_denied, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_bundles_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_statements_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(signatures_of_the_manifest_count, set_up, tear_down),
        cmocka_unit_test(encodes_as_published),
        cmocka_unit_test(base64_is_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
