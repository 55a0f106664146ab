#include "base/ocidigest.h"

#include <openssl/evp.h>
#include <string.h>

#include <ingot/error.h>

#include "base/text.h"

#define SHA256_PREFIX "sha256:"
#define SHA512_PREFIX "sha512:"
#define SHOWN_LENGTH 160 /* bytes of a wrong text in a message */

static const char hex_digits[] = "0123456789abcdef";

/* SHA-512/256, of FIPS 180-4: its initial value is its own, so it is no part of any SHA-512 either. */
static void find_key(OciDigest *digest)
{
    if (!EVP_Q_digest(NULL, "SHA512-256", NULL, digest->sha512, SHA512_SIZE, digest->key.bytes, NULL)) {
        g_error("libcrypto cannot compute a SHA512-256");
    }
}

OciDigest oci_digest_from_sha256(const IngotDigest *digest)
{
    return (OciDigest){.key = *digest};
}

OciDigest oci_digest_from_sha512(const guint8 sha512[SHA512_SIZE])
{
    OciDigest digest = {.is_sha512 = TRUE};
    memcpy(digest.sha512, sha512, SHA512_SIZE);
    find_key(&digest);
    return digest;
}

/* --- text --- */

static gboolean is_sha512(const char *text)
{
    const char *hex = text + strlen(SHA512_PREFIX);
    return g_str_has_prefix(text, SHA512_PREFIX) && strlen(hex) == 2 * (gsize)SHA512_SIZE &&
           strspn(hex, hex_digits) == 2 * (gsize)SHA512_SIZE;
}

gboolean oci_digest_parse(const char *text, OciDigest *out, GError **error)
{
    IngotDigest sha256;
    if (ingot_digest_parse(text, &sha256, NULL)) {
        *out = oci_digest_from_sha256(&sha256);
        return TRUE;
    }
    if (!is_sha512(text)) {
        g_autofree char *shown = ingot_text_head(text, SHOWN_LENGTH);
        g_set_error(
            error, INGOT_ERROR, INGOT_ERROR_INVALID,
            "'%s' is not a digest: expected is \"sha256:\" and 64 lower-case hex digits, or \"sha512:\" and 128",
            shown);
        return FALSE;
    }
    guint8 bytes[SHA512_SIZE];
    const char *hex = text + strlen(SHA512_PREFIX);
    for (gsize i = 0; i < SHA512_SIZE; i++) {
        bytes[i] = (guint8)(g_ascii_xdigit_value(hex[2 * i]) << 4 | g_ascii_xdigit_value(hex[2 * i + 1]));
    }
    *out = oci_digest_from_sha512(bytes);
    return TRUE;
}

gboolean oci_algorithm_parse(const char *text, gboolean *sha512, GError **error)
{
    *sha512 = strcmp(text, "sha512") == 0;
    if (*sha512 || strcmp(text, "sha256") == 0) {
        return TRUE;
    }
    g_autofree char *shown = ingot_text_head(text, SHOWN_LENGTH);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "'%s' is not a digest algorithm: use sha256 or sha512", shown);
    return FALSE;
}

void oci_digest_write_text(const OciDigest *digest, char text[OCI_DIGEST_TEXT_SIZE])
{
    if (!digest->is_sha512) {
        ingot_digest_write_text(&digest->key, text);
        return;
    }
    char *next = g_stpcpy(text, SHA512_PREFIX);
    for (gsize i = 0; i < SHA512_SIZE; i++) {
        *next++ = hex_digits[digest->sha512[i] >> 4];
        *next++ = hex_digits[digest->sha512[i] & 15];
    }
    *next = '\0';
}

char *oci_digest_to_text(const OciDigest *digest)
{
    char *text = g_malloc(OCI_DIGEST_TEXT_SIZE);
    oci_digest_write_text(digest, text);
    return text;
}

/* --- bytes --- */

gboolean oci_digest_equal(const OciDigest *a, const OciDigest *b)
{
    return ingot_digest_equal(&a->key, &b->key);
}

OciDigest oci_digest_of_sha512(const void *data, gsize size)
{
    OciDigest digest;
    g_autoptr(Sha512) sha512 = sha512_new();
    sha512_add(sha512, data, size);
    sha512_finish(sha512, &digest);
    return digest;
}

gboolean oci_digest_fits(const OciDigest *digest, const void *data, gsize size)
{
    OciDigest found = {0};
    if (digest->is_sha512) {
        found = oci_digest_of_sha512(data, size);
    } else {
        ingot_digest_of(data, size, &found.key);
    }
    return oci_digest_equal(digest, &found);
}

/* A Sha512 is libcrypto's context under a name that keeps its headers out of ours. */
static EVP_MD_CTX *context_of(Sha512 *sha512)
{
    return (EVP_MD_CTX *)sha512;
}

Sha512 *sha512_new(void)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL || !EVP_DigestInit_ex2(context, EVP_sha512(), NULL)) {
        g_error("libcrypto cannot start a SHA512");
    }
    return (Sha512 *)context;
}

void sha512_add(Sha512 *sha512, const void *data, gsize size)
{
    if (!EVP_DigestUpdate(context_of(sha512), data, size)) {
        g_error("libcrypto cannot go on with a SHA512");
    }
}

void sha512_finish(Sha512 *sha512, OciDigest *out)
{
    guint8 bytes[SHA512_SIZE];
    if (!EVP_DigestFinal_ex(context_of(sha512), bytes, NULL)) {
        g_error("libcrypto cannot finish a SHA512");
    }
    *out = oci_digest_from_sha512(bytes);
}

void sha512_free(Sha512 *sha512)
{
    EVP_MD_CTX_free(context_of(sha512));
}
