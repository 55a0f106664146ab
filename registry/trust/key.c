#include "trust/key.h"

#include <ingot/error.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <string.h>

#include "trust/pem.h"

#define CURVE "prime256v1"
#define SALT_SIZE 16     /* bytes */
#define SCRYPT_N 16384u  /* OpenSSL reads back no key that takes more than 32 MiB */
#define SCRYPT_R 8u      /* 16 MiB, with N */
#define SCRYPT_P 5u      /* about a quarter of a second for each guess */
#define SIGNATURE_MAX 72 /* bytes of DER: two integers of up to 33 bytes, with their heads */

struct TrustKey {
    EVP_PKEY *key;    /* its public part at least */
    EVP_PKEY *signer; /* the private key, which may be in a token; NULL: there is only the public one */
    IngotDigest fingerprint;
};

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BIO, BIO_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_PKEY, EVP_PKEY_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_MD_CTX, EVP_MD_CTX_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PKCS8_PRIV_KEY_INFO, PKCS8_PRIV_KEY_INFO_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509_ALGOR, X509_ALGOR_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509_SIG, X509_SIG_free)

/* OpenSSL's own reason; its queue is empty afterwards. Always NULL. */
static gpointer key_fails(GError **error, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: %s", what, reason == NULL ? "OpenSSL failed" : reason);
    ERR_clear_error();
    return NULL;
}

static gboolean key_is_p256(EVP_PKEY *key)
{
    char group[32] = "";
    return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
           EVP_PKEY_get_utf8_string_param(key, "group", group, sizeof group, NULL) == 1 && strcmp(group, CURVE) == 0;
}

/* A point that is not on the curve is refused too. Takes the key. */
static TrustKey *key_new(EVP_PKEY *owned, gboolean is_private, const char *what, GError **error)
{
    g_autoptr(EVP_PKEY) key = owned;
    if (!key_is_p256(key)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: a key of another kind; ECDSA on the curve P-256 is expected", what);
        return NULL;
    }
    g_autoptr(EVP_PKEY_CTX) context = EVP_PKEY_CTX_new(key, NULL);
    if (context == NULL || EVP_PKEY_public_check(context) != 1) {
        ERR_clear_error();
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: the key is damaged: it is not a point of P-256",
                    what);
        return NULL;
    }
    unsigned char *der = NULL;
    int size = i2d_PUBKEY(key, &der);
    if (size <= 0) {
        return key_fails(error, what);
    }
    TrustKey *made = g_new0(TrustKey, 1);
    ingot_digest_of(der, (gsize)size, &made->fingerprint);
    OPENSSL_free(der);
    made->signer = is_private && EVP_PKEY_up_ref(key) == 1 ? key : NULL;
    made->key = g_steal_pointer(&key);
    return made;
}

TrustKey *trust_key_generate(GError **error)
{
    EVP_PKEY *key = EVP_EC_gen(CURVE);
    return key == NULL ? key_fails(error, "making a key") : key_new(key, TRUE, "the key", error);
}

static gboolean key_check_size(gsize size, const char *what, GError **error)
{
    if (size == 0 || size > TRUST_KEY_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: not a key: a key's file has 1 to %u bytes", what,
                    TRUST_KEY_MAX);
        return FALSE;
    }
    return TRUE;
}

TrustKey *trust_key_read_public(const void *pem, gsize size, const char *what, GError **error)
{
    if (!key_check_size(size, what, error)) {
        return NULL;
    }
    g_autoptr(BIO) bio = BIO_new_mem_buf(pem, (int)size);
    EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PUBKEY(bio, NULL, pem_passphrase, (gpointer) "");
    ERR_clear_error();
    if (key == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: not a public key in PEM (BEGIN PUBLIC KEY)%s", what,
                    g_strstr_len(pem, (gssize)size, "PRIVATE KEY-----") != NULL
                        ? ": it holds a private key; the public one is beside it, with .pub after its name"
                        : "");
        return NULL;
    }
    return key_new(key, FALSE, what, error);
}

TrustKey *trust_key_read_der(const void *der, gsize size, const char *what, GError **error)
{
    const unsigned char *at = der, *end = at + size;
    EVP_PKEY *key = key_check_size(size, what, NULL) ? d2i_PUBKEY(NULL, &at, (long)size) : NULL;
    ERR_clear_error();
    if (key == NULL || at != end) {
        EVP_PKEY_free(key);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: not a public key in DER", what);
        return NULL;
    }
    return key_new(key, FALSE, what, error);
}

/* With the curve's name and the whole point, as everybody else writes it: some tokens spell the curve out. */
static gboolean key_name_curve(EVP_PKEY *key)
{
    return !key_is_p256(key) ||
           (EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_ENCODING, OSSL_PKEY_EC_ENCODING_GROUP) == 1 &&
            EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                           OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED) == 1);
}

TrustKey *trust_key_copy(EVP_PKEY *from, gboolean is_private, const char *what, GError **error)
{
    unsigned char *der = NULL;
    int size = i2d_PUBKEY(from, &der);
    const unsigned char *at = der;
    g_autoptr(EVP_PKEY) public = size <= 0 ? NULL : d2i_PUBKEY(NULL, &at, size);
    OPENSSL_free(der);
    ERR_clear_error();
    if (public == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: the public key of this private key is not there: the token needs it too, or a certificate for "
                    "it, with the same ID",
                    what);
        return NULL;
    }
    if (!key_name_curve(public)) {
        return key_fails(error, what);
    }
    TrustKey *key = key_new(g_steal_pointer(&public), FALSE, what, error);
    if (key != NULL && is_private && EVP_PKEY_up_ref(from) == 1) {
        key->signer = from;
    }
    return key;
}

/* FALSE: the block is not one of a public key. */
static gboolean key_add_block(BIO *bio, const char *what, GPtrArray *keys, gboolean *ends, GError **error)
{
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    long size = 0;
    gboolean is_block = PEM_read_bio(bio, &name, &header, &der, &size) == 1;
    *ends = !is_block && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    gboolean is_key = is_block && strcmp(name, PEM_STRING_PUBLIC) == 0 && size > 0;
    TrustKey *key = is_key ? trust_key_read_der(der, (gsize)size, what, error) : NULL;
    if (key != NULL) {
        g_ptr_array_add(keys, key);
    } else if (!is_key && !*ends) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: one of its blocks is not a public key in PEM", what);
    }
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    return key != NULL || *ends;
}

gboolean trust_key_read_list(const void *pem, gsize size, const char *what, GPtrArray *keys, GError **error)
{
    gboolean ends = FALSE;
    guint before = keys->len;
    if (!key_check_size(size, what, error)) {
        return FALSE;
    }
    g_autoptr(BIO) bio = BIO_new_mem_buf(pem, (int)size);
    while (bio != NULL && !ends) {
        if (!key_add_block(bio, what, keys, &ends, error)) {
            return FALSE;
        }
    }
    if (keys->len == before) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: it has no public key in PEM (BEGIN PUBLIC KEY)",
                    what);
    }
    return keys->len > before;
}

/* PEM's lines around JSON that only cosign reads, the older one last. */
static const char *const cosign_heads[] = {"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----",
                                           "-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----"};

static gboolean key_is_cosign(const void *pem, gsize size)
{
    for (guint i = 0; i < G_N_ELEMENTS(cosign_heads); i++) {
        if (g_strstr_len(pem, (gssize)size, cosign_heads[i]) != NULL) {
            return TRUE;
        }
    }
    return FALSE;
}

gboolean trust_key_check_kind(const void *pem, gsize size, const char *what, GError **error)
{
    if (size == 0 || !key_is_cosign(pem, size)) {
        return TRUE;
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                "%s: a private key in cosign's own format, which is not read here: `ingot key generate` makes one, and "
                "so does openssl (PKCS #8)",
                what);
    return FALSE;
}

gboolean trust_key_is_encrypted(const void *pem, gsize size)
{
    return g_strstr_len(pem, (gssize)size, "ENCRYPTED") != NULL;
}

TrustKey *trust_key_read_private(const void *pem, gsize size, const char *passphrase, const char *what, GError **error)
{
    if (!key_check_size(size, what, error) || !trust_key_check_kind(pem, size, what, error)) {
        return NULL;
    }
    g_autoptr(BIO) bio = BIO_new_mem_buf(pem, (int)size);
    EVP_PKEY *key =
        bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, pem_passphrase, (gpointer)(gsize)passphrase);
    ERR_clear_error();
    if (key != NULL) {
        return key_new(key, TRUE, what, error);
    }
    if (trust_key_is_encrypted(pem, size)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED, "%s: %s", what,
                    *passphrase == '\0' ? "the key has a passphrase: set INGOT_PASSPHRASE, or type it at a terminal"
                                        : "the passphrase is not this key's");
    } else {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: not a private key in PEM%s", what,
                    g_strstr_len(pem, (gssize)size, "PUBLIC KEY-----") != NULL
                        ? ": it holds a public key; the private one is the file without .pub"
                        : "");
    }
    return NULL;
}

void trust_key_free(TrustKey *key)
{
    if (key != NULL) {
        EVP_PKEY_free(key->signer);
        EVP_PKEY_free(key->key);
        g_free(key);
    }
}

gboolean trust_key_is_private(const TrustKey *key)
{
    return key->signer != NULL;
}

const IngotDigest *trust_key_fingerprint(const TrustKey *key)
{
    return &key->fingerprint;
}

static char *key_bio_text(BIO *bio)
{
    char *data = NULL;
    long size = BIO_get_mem_data(bio, &data);
    return g_strndup(data, (gsize)size);
}

char *trust_key_public_pem(const TrustKey *key)
{
    g_autoptr(BIO) bio = BIO_new(BIO_s_mem());
    g_assert(bio != NULL && PEM_write_bio_PUBKEY(bio, key->key) == 1);
    return key_bio_text(bio);
}

/* NULL: OpenSSL failed. */
static X509_SIG *key_encrypt(PKCS8_PRIV_KEY_INFO *plain, const char *passphrase)
{
    unsigned char salt[SALT_SIZE];
    if (RAND_bytes(salt, sizeof salt) != 1) {
        return NULL;
    }
    g_autoptr(X509_ALGOR) scheme =
        PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), salt, sizeof salt, NULL, SCRYPT_N, SCRYPT_R, SCRYPT_P);
    X509_SIG *encrypted = scheme == NULL ? NULL : PKCS8_set0_pbe(passphrase, (int)strlen(passphrase), plain, scheme);
    if (encrypted != NULL) {
        g_steal_pointer(&scheme); /* it is the encrypted key's */
    }
    return encrypted;
}

char *trust_key_private_pem(const TrustKey *key, const char *passphrase, GError **error)
{
    g_return_val_if_fail(key->signer != NULL, NULL);
    g_autoptr(BIO) bio = BIO_new(BIO_s_secmem());
    g_autoptr(PKCS8_PRIV_KEY_INFO) plain = EVP_PKEY2PKCS8(key->signer);
    gboolean written = FALSE;
    if (bio != NULL && plain != NULL && *passphrase == '\0') {
        written = PEM_write_bio_PKCS8_PRIV_KEY_INFO(bio, plain) == 1;
    } else if (bio != NULL && plain != NULL) {
        g_autoptr(X509_SIG) encrypted = key_encrypt(plain, passphrase);
        written = encrypted != NULL && PEM_write_bio_PKCS8(bio, encrypted) == 1;
    }
    return written ? key_bio_text(bio) : key_fails(error, "writing the private key");
}

gboolean trust_key_verify(const TrustKey *key, const IngotDigest *signed_digest, const void *signature, gsize size)
{
    if (size == 0 || size > SIGNATURE_MAX) {
        return FALSE;
    }
    /* OpenSSL encodes what it has decoded again, and refuses what is not the same: no BER, no bytes after it. */
    g_autoptr(EVP_PKEY_CTX) context = EVP_PKEY_CTX_new(key->key, NULL);
    gboolean fits = context != NULL && EVP_PKEY_verify_init(context) == 1 &&
                    EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) == 1 &&
                    EVP_PKEY_verify(context, signature, size, signed_digest->bytes, sizeof signed_digest->bytes) == 1;
    ERR_clear_error();
    return fits;
}

GBytes *trust_key_sign(const TrustKey *key, const void *data, gsize size, GError **error)
{
    g_return_val_if_fail(key->signer != NULL, NULL);
    g_autoptr(EVP_MD_CTX) context = EVP_MD_CTX_new();
    unsigned char signature[SIGNATURE_MAX];
    size_t length = sizeof signature;
    if (context == NULL || EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key->signer) != 1 ||
        EVP_DigestSign(context, signature, &length, data, size) != 1) {
        return key_fails(error, "signing");
    }
    IngotDigest digest;
    ingot_digest_of(data, size, &digest);
    if (!trust_key_verify(key, &digest, signature, length)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED,
                    "signing: the signature is not one of the public key: the token has another key's public part");
        return NULL;
    }
    return g_bytes_new(signature, length);
}
