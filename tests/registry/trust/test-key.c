/* Keys that sign: their texts come back, other kinds are refused, and only DER of the right key counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <glib/gstdio.h>
#include <ingot/error.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

#include "base/prompt.h"
#include "trust/key.h"
#include "trust/keystore.h"
#include "trust/x509.h"

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

/* --- keys that a URI names --- */

static char *right_passphrase(const char *shown, GError **error)
{
    (void)shown;
    (void)error;
    return g_strdup("right");
}

static char *wrong_passphrase(const char *shown, GError **error)
{
    (void)shown;
    (void)error;
    return g_strdup("wrong");
}

static char *no_passphrase(const char *shown, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "nobody answers for %s", shown);
    return NULL;
}

/* The URI of a file with this text, which uri_remove removes. */
static char *uri_of(const char *text)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("ingot-key-XXXXXX", &path, NULL);
    assert_true(fd >= 0 && g_close(fd, NULL));
    assert_true(g_file_set_contents(path, text, -1, NULL));
    return g_strconcat("file:", path, NULL);
}

static void uri_remove(char *uri)
{
    g_unlink(uri + strlen("file:"));
    g_free(uri);
}

static void private_refuses(const char *uri, TrustKeyAsk ask, IngotError code, const char *why)
{
    g_autoptr(GError) error = NULL;
    assert_null(trust_keystore_read_private(uri, ask, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, code));
    if (strstr(error->message, why) == NULL) {
        fail_msg("%s", error->message);
    }
}

static void uris_name_keys(void **state)
{
    (void)state;
    g_autoptr(TrustKey) key = trust_key_generate(NULL);
    g_autofree char *public = trust_key_public_pem(key);
    g_autoptr(IngotSecret) private = trust_key_private_pem(key, "right", NULL);
    char *private_uri = uri_of(private), *public_uri = uri_of(public);
    g_autoptr(TrustKey) signer = trust_keystore_read_private(private_uri, right_passphrase, NULL);
    g_autoptr(TrustKey) verifier = trust_keystore_read_public(public_uri, no_passphrase, NULL);
    assert_true(trust_key_is_private(signer) && !trust_key_is_private(verifier));
    assert_true(ingot_digest_equal(trust_key_fingerprint(key), trust_key_fingerprint(signer)));
    assert_true(ingot_digest_equal(trust_key_fingerprint(key), trust_key_fingerprint(verifier)));
    g_autoptr(GBytes) signature = trust_key_sign(signer, "text", 4, NULL);
    IngotDigest digest;
    ingot_digest_of("text", 4, &digest);
    assert_true(trust_key_verify(verifier, &digest, g_bytes_get_data(signature, NULL), g_bytes_get_size(signature)));
    private_refuses(private_uri, wrong_passphrase, INGOT_ERROR_DENIED, "passphrase or PIN");
    private_refuses(private_uri, no_passphrase, INGOT_ERROR_INVALID, "nobody answers for file:");
    private_refuses(public_uri, no_passphrase, INGOT_ERROR_INVALID, "there is no private key");
    uri_remove(private_uri);
    uri_remove(public_uri);
}

static void uris_of_other_things_are_refused(void **state)
{
    (void)state;
    g_autoptr(TrustKey) one = trust_key_generate(NULL), two = trust_key_generate(NULL);
    g_autoptr(IngotSecret) first = trust_key_private_pem(one, "", NULL), second = trust_key_private_pem(two, "", NULL);
    g_autofree char *both = g_strconcat(first, second, NULL);
    char *several = uri_of(both), *other = uri_of(p384), *junk = uri_of("junk");
    g_autoptr(GError) error = NULL;
    private_refuses(several, no_passphrase, INGOT_ERROR_INVALID, "it names 2 keys");
    private_refuses(junk, no_passphrase, INGOT_ERROR_INVALID, "there is no private key");
    private_refuses("file:/nowhere/my.key", no_passphrase, INGOT_ERROR_FAILED, "No such file");
    private_refuses("unheard-of:x?pin-value=1234", no_passphrase, INGOT_ERROR_INVALID, "scheme 'unheard-of'");
    private_refuses("unheard-of:x?pin-value=1234", no_passphrase, INGOT_ERROR_INVALID, "x?pin-value=...: ");
    assert_null(trust_keystore_read_public(other, no_passphrase, &error));
    assert_non_null(strstr(error->message, "P-256"));
    uri_remove(several);
    uri_remove(other);
    uri_remove(junk);
}

static void names_are_uris_by_their_scheme(void **state)
{
    static const char *const uris[] = {"pkcs11:token=a;object=b", "file:/a", "PKCS11:x"};
    static const char *const paths[] = {"my.key", "/a:b", "./pkcs11:x", "c:key", ":x", ""};
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(uris); i++) {
        assert_true(trust_keystore_is_uri(uris[i]));
    }
    for (guint i = 0; i < G_N_ELEMENTS(paths); i++) {
        assert_false(trust_keystore_is_uri(paths[i]));
    }
}

static void pins_are_not_shown(void **state)
{
    static const char *const names[][2] = {
        {"pkcs11:object=a?pin-value=1234", "pkcs11:object=a?pin-value=..."},
        {"pkcs11:object=a?pin-value=1234&module-name=b", "pkcs11:object=a?pin-value=...&module-name=b"},
        {"pkcs11:object=a?pin-value=1&pin-value=2", "pkcs11:object=a?pin-value=...&pin-value=..."},
        {"pkcs11:object=a?pin-source=file:/b", "pkcs11:object=a?pin-source=file:/b"},
        {"./pin-value=1", "./pin-value=1"},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *shown = trust_keystore_shown(names[i][0]);
        assert_string_equal(shown, names[i][1]);
    }
}

/* Tokens that spell the curve out have the same key as those that name it. */
static void one_key_has_one_fingerprint(void **state)
{
    (void)state;
    EVP_PKEY *key = EVP_EC_gen("prime256v1");
    g_autoptr(TrustKey) named = trust_key_copy(key, TRUE, "k", NULL);
    assert_int_equal(EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_ENCODING, OSSL_PKEY_EC_ENCODING_EXPLICIT),
                     1);
    assert_int_equal(EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                                    OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_COMPRESSED),
                     1);
    g_autoptr(TrustKey) spelled = trust_key_copy(key, TRUE, "k", NULL);
    EVP_PKEY_free(key);
    assert_true(ingot_digest_equal(trust_key_fingerprint(named), trust_key_fingerprint(spelled)));
    g_autoptr(GBytes) signature = trust_key_sign(spelled, "text", 4, NULL);
    assert_non_null(signature);
}

/* A block that says that it is encrypted, whatever it is, is not read: nobody is asked, and standard input is whole. */
static void nobody_is_asked(void **state)
{
    static const char block[] =
        "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00112233445566778899AABBCCDDEEFF\n\neHh4\n";
    g_autofree char *key = g_strdup_printf("-----BEGIN PUBLIC KEY-----\n%s-----END PUBLIC KEY-----\n", block);
    char *pem = g_strdup_printf("-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----\n", block);
    g_autoptr(GBytes) certificate = g_bytes_new_take(pem, strlen(pem));
    char line[8];
    int ends[2], input = dup(STDIN_FILENO);
    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "word\n", 5), 5);
    close(ends[1]);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    assert_null(trust_key_read_public(key, strlen(key), "a key", NULL));
    assert_null(x509_read_pem(certificate));
    assert_int_equal(read(STDIN_FILENO, line, sizeof line), 5);
    assert_int_equal(dup2(input, STDIN_FILENO), STDIN_FILENO);
    close(ends[0]);
    close(input);
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
        cmocka_unit_test(uris_name_keys),
        cmocka_unit_test(uris_of_other_things_are_refused),
        cmocka_unit_test(names_are_uris_by_their_scheme),
        cmocka_unit_test(pins_are_not_shown),
        cmocka_unit_test(one_key_has_one_fingerprint),
        cmocka_unit_test(nobody_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
