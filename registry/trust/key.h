/* Keys that sign: ECDSA on the curve P-256 over SHA-256, as cosign's do; no other kind is taken.
 *
 * A public key is PEM text (SubjectPublicKeyInfo); a private one is PEM text of an encrypted PKCS #8, by PBES2 with
 * scrypt (N 16384, r 8, p 5) and AES-256. The openssl command reads both; cosign reads the public key, and has a
 * format of its own for private ones, which is not read here. A key is read only once it is made, so that
 * threads may share it. */
#pragma once

#include <ingot/digest.h>
#include <openssl/types.h>

#define TRUST_KEY_MAX 65536u /* bytes of a key's text */

typedef struct TrustKey TrustKey;

TrustKey *trust_key_generate(GError **error);
/* what: the file, for errors. INVALID: it is not a key of this kind. Text around the PEM block is passed over. */
TrustKey *trust_key_read_public(const void *pem, gsize size, const char *what, GError **error);
/* The same of SubjectPublicKeyInfo in DER. */
TrustKey *trust_key_read_der(const void *der, gsize size, const char *what, GError **error);
/* All public keys of a text that holds one or more, added to an array of TrustKey. One that is damaged, or of another
 * kind, fails it all: it may be the one that was to count. */
gboolean trust_key_read_list(const void *pem, gsize size, const char *what, GPtrArray *keys, GError **error);
/* passphrase: "" for a key that has none. DENIED: it is not this key's. */
TrustKey *trust_key_read_private(const void *pem, gsize size, const char *passphrase, const char *what, GError **error);
/* A key that OpenSSL has from elsewhere, a token say: the public part is copied, and signing is asked of the key
 * itself, on which a reference is kept where it is private. INVALID: it is of another kind, or has no public part. */
TrustKey *trust_key_copy(EVP_PKEY *from, gboolean is_private, const char *what, GError **error);
/* INVALID: it is in a format that no passphrase helps to read. */
gboolean trust_key_check_kind(const void *pem, gsize size, const char *what, GError **error);
/* Whether a private key's text says that it is encrypted. */
gboolean trust_key_is_encrypted(const void *pem, gsize size);
void trust_key_free(TrustKey *key);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TrustKey, trust_key_free)

gboolean trust_key_is_private(const TrustKey *key);
/* Free it. */
char *trust_key_public_pem(const TrustKey *key);
/* Of a private key; passphrase "": not encrypted. One that is in a token fails. Free it with ingot_secret_free. */
char *trust_key_private_pem(const TrustKey *key, const char *passphrase, GError **error);
/* SHA-256 of the public key's DER (SubjectPublicKeyInfo). */
const IngotDigest *trust_key_fingerprint(const TrustKey *key);

/* The signature of SHA-256 of the bytes, in DER; verified before it is given. */
GBytes *trust_key_sign(const TrustKey *key, const void *data, gsize size, GError **error);
/* Whether it is this key's signature of bytes that have this SHA-256. Only DER counts, and nothing after it. */
gboolean trust_key_verify(const TrustKey *key, const IngotDigest *signed_digest, const void *signature, gsize size);
