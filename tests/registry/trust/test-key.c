/* Keys that sign: their texts come back, other kinds are refused, and only DER of the right key counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <ingot/error.h>

#include "base/prompt.h"
#include "trust/key.h"

/* openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 | openssl pkey -pubout */
static const char p384[] = "-----BEGIN PUBLIC KEY-----\n"
                           "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE2XGec0Y84IqC1pO3+MI3nKl9gXLPGxpN\n"
                           "MfOrFr+eq2Uq5irEOsMQ9/n0NZeih+GxeRCYYYG9d/JpmQbdVerszyk64kHxeqG6\n"
                           "ziX8jRSCAzLixXnV1FZ/oZXoCsfKy2OJ\n"
                           "-----END PUBLIC KEY-----\n";

static void texts_come_back(void **state)
{
    (void)state;
    g_autoptr(GError) error = NULL;
    g_autoptr(TrustKey) key = trust_key_generate(&error);
    assert_non_null(key);
    g_autofree char *public = trust_key_public_pem(key);
    g_autoptr(IngotSecret) private = trust_key_private_pem(key, "open sesame", &error);
    assert_true(g_str_has_prefix(private, "-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    assert_true(trust_key_is_encrypted(private, strlen(private)));
    g_autoptr(TrustKey) again = trust_key_read_private(private, strlen(private), "open sesame", "k", &error);
    g_autoptr(TrustKey) other = trust_key_read_public(public, strlen(public), "k.pub", &error);
    assert_null(error);
    assert_true(trust_key_is_private(again) && !trust_key_is_private(other));
    assert_true(ingot_digest_equal(trust_key_fingerprint(key), trust_key_fingerprint(again)));
    assert_true(ingot_digest_equal(trust_key_fingerprint(key), trust_key_fingerprint(other)));
}

static void plain_keys_need_no_passphrase(void **state)
{
    (void)state;
    g_autoptr(TrustKey) key = trust_key_generate(NULL);
    g_autoptr(IngotSecret) private = trust_key_private_pem(key, "", NULL);
    assert_false(trust_key_is_encrypted(private, strlen(private)));
    g_autoptr(TrustKey) again = trust_key_read_private(private, strlen(private), "", "k", NULL);
    assert_non_null(again);
}

static void wrong_passphrases_are_denied(void **state)
{
    (void)state;
    g_autoptr(TrustKey) key = trust_key_generate(NULL);
    g_autoptr(IngotSecret) private = trust_key_private_pem(key, "right", NULL);
    const char *const wrong[] = {"wrong", ""};
    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        assert_null(trust_key_read_private(private, strlen(private), wrong[i], "my.key", &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_DENIED));
        assert_non_null(strstr(error->message, "my.key"));
    }
}

static void refuses(const char *text, const char *why)
{
    g_autoptr(GError) error = NULL;
    assert_null(trust_key_read_public(text, strlen(text), "k", &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    assert_non_null(strstr(error->message, why));
}

static void other_kinds_are_refused(void **state)
{
    (void)state;
    g_autoptr(TrustKey) key = trust_key_generate(NULL);
    g_autoptr(IngotSecret) private = trust_key_private_pem(key, "", NULL);
    g_autofree char *large = g_strnfill(TRUST_KEY_MAX + 1, '-');
    refuses(p384, "P-256");
    refuses(private, "private key");
    refuses("", "1 to");
    refuses(large, "1 to");
    refuses("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "not a public key");
}

/* No passphrase helps there: none is called wrong, nor asked for. */
static void private_keys_of_cosign_are_told(void **state)
{
    static const char *const kinds[] = {"SIGSTORE ", "COSIGN ", ""};
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        gboolean own = *kinds[i] != '\0';
        g_autoptr(GError) error = NULL, kind = NULL;
        g_autofree char *text = g_strdup_printf("-----BEGIN ENCRYPTED %sPRIVATE KEY-----\neyJrZGYiOnt9fQ==\n"
                                                "-----END ENCRYPTED %sPRIVATE KEY-----\n",
                                                kinds[i], kinds[i]);
        assert_null(trust_key_read_private(text, strlen(text), "right", "cosign.key", &error));
        assert_true(g_error_matches(error, INGOT_ERROR, own ? INGOT_ERROR_INVALID : INGOT_ERROR_DENIED));
        assert_int_equal(trust_key_check_kind(text, strlen(text), "cosign.key", &kind), !own);
        assert_true(!own || strstr(kind->message, "cosign.key: a private key in cosign's own format") != NULL);
    }
}

static void only_this_signature_counts(void **state)
{
    (void)state;
    g_autoptr(TrustKey) key = trust_key_generate(NULL), other = trust_key_generate(NULL);
    g_autoptr(GBytes) signature = trust_key_sign(key, "text", 4, NULL);
    IngotDigest digest, wrong;
    gsize size;
    const guint8 *bytes = g_bytes_get_data(signature, &size);
    ingot_digest_of("text", 4, &digest);
    ingot_digest_of("Text", 4, &wrong);
    assert_true(trust_key_verify(key, &digest, bytes, size));
    assert_false(trust_key_verify(other, &digest, bytes, size));
    assert_false(trust_key_verify(key, &wrong, bytes, size));
    assert_false(trust_key_verify(key, &digest, bytes, size - 1));
    assert_false(trust_key_verify(key, &digest, bytes, 0));
    g_autofree guint8 *ber = g_malloc0(size + 2);
    memcpy(ber, bytes, size);
    assert_false(trust_key_verify(key, &digest, ber, size + 1)); /* a byte after it */
    ber[0] = 0x30;
    ber[1] = 0x81; /* the length as BER alone may have it */
    ber[2] = bytes[1];
    memcpy(ber + 3, bytes + 2, size - 2);
    assert_false(trust_key_verify(key, &digest, ber, size + 1));
    for (gsize i = 0; i < size; i++) {
        g_autofree guint8 *changed = g_memdup2(bytes, size);
        changed[i] ^= 1;
        assert_false(trust_key_verify(key, &digest, changed, size));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_come_back),
        cmocka_unit_test(plain_keys_need_no_passphrase),
        cmocka_unit_test(wrong_passphrases_are_denied),
        cmocka_unit_test(other_kinds_are_refused),
        cmocka_unit_test(private_keys_of_cosign_are_told),
        cmocka_unit_test(only_this_signature_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
