/* SHA-256 digests (FIPS 180-4), written "sha256:HEX" as in the OCI image-spec, section "Digests". */
#pragma once

#include <glib.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

#define INGOT_DIGEST_SIZE 32      /* bytes */
#define INGOT_DIGEST_TEXT_SIZE 72 /* "sha256:" + 64 hex digits + NUL */

typedef struct {
    guint8 bytes[INGOT_DIGEST_SIZE];
} IngotDigest;

/* Digest of a buffer. Thread safe, as all of this header but for one IngotHasher used by two threads. */
void ingot_digest_of(const void *data, gsize size, IngotDigest *out);

/* Digest of a whole file; *size (may be NULL) receives its length in bytes. */
gboolean ingot_digest_of_file(const char *path, IngotDigest *out, guint64 *size, GError **error);

/* "sha256:…" in a new string, or into a caller's buffer. */
char *ingot_digest_to_text(const IngotDigest *digest);
void ingot_digest_write_text(const IngotDigest *digest, char text[INGOT_DIGEST_TEXT_SIZE]);

/* Accepts exactly "sha256:" and 64 lower-case hex digits. */
gboolean ingot_digest_parse(const char *text, IngotDigest *out, GError **error);

gboolean ingot_digest_equal(gconstpointer a, gconstpointer b); /* GEqualFunc over IngotDigest * */
/* GHashFunc over IngotDigest *: another one in each process, so that nobody makes digests for it. */
guint ingot_digest_hash(gconstpointer digest);

/* A digest computed piece by piece. */
typedef struct IngotHasher IngotHasher;
IngotHasher *ingot_hasher_new(void);
void ingot_hasher_add(IngotHasher *hasher, const void *data, gsize size);
void ingot_hasher_finish(IngotHasher *hasher, IngotDigest *out); /* once; then only free */
void ingot_hasher_free(IngotHasher *hasher);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotHasher, ingot_hasher_free)

#pragma GCC visibility pop
G_END_DECLS
