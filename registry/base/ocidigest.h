/* Digests as the OCI image-spec has them (descriptor.md, "Digests"): "sha256:HEX" or "sha512:HEX", its two registered
 * algorithms. This is the one place that knows their grammar.
 *
 * Inside Ingot everything is named by its SHA-256. A SHA-512 has a key in that form too: SHA-512/256 of its 64 bytes.
 * Invariant: the key of a SHA-512 is the SHA-256 of no bytes that anybody can find, so a key never names two things. */
#pragma once

#include <ingot/digest.h>

#define SHA512_SIZE 64           /* bytes */
#define OCI_DIGEST_TEXT_SIZE 136 /* "sha512:" + 128 hex digits + NUL */

typedef struct {
    IngotDigest key; /* a SHA-256 itself; of a SHA-512 what stands for it */
    gboolean is_sha512;
    guint8 sha512[SHA512_SIZE]; /* zeros where it is a SHA-256 */
} OciDigest;

/* INVALID: another algorithm, or not of its length, or upper-case digits. */
gboolean oci_digest_parse(const char *text, OciDigest *out, GError **error);
/* "sha256" or "sha512"; INVALID otherwise. */
gboolean oci_algorithm_parse(const char *text, gboolean *is_sha512, GError **error);
void oci_digest_write_text(const OciDigest *digest, char text[OCI_DIGEST_TEXT_SIZE]);
char *oci_digest_to_text(const OciDigest *digest); /* free it */

OciDigest oci_digest_from_sha256(const IngotDigest *digest);
OciDigest oci_digest_from_sha512(const guint8 sha512[SHA512_SIZE]);
/* The SHA-512 of the bytes. */
OciDigest oci_digest_of_sha512(const void *data, gsize size);
/* Whether the bytes have the digest. */
gboolean oci_digest_fits(const OciDigest *digest, const void *data, gsize size);
gboolean oci_digest_equal(const OciDigest *a, const OciDigest *b);

/* A SHA-512 computed piece by piece. */
typedef struct Sha512 Sha512;
Sha512 *sha512_new(void);
void sha512_add(Sha512 *sha512, const void *data, gsize size);
void sha512_finish(Sha512 *sha512, OciDigest *out); /* once; then only free */
void sha512_free(Sha512 *sha512);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Sha512, sha512_free)
