#include <ingot/digest.h>

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <unistd.h>

#include <ingot/error.h>

#include "base/file.h"
#include "base/process.h"
#include "base/text.h"

#define PREFIX "sha256:"
#define READ_SIZE (1u << 20)
#define SHOWN_LENGTH 100 /* bytes of a wrong text in a message */

/* Fetched once: libcrypto 3 looks the algorithm up anew for every EVP_sha256(), which costs as much as a small chunk.
 */
static const EVP_MD *sha256(void)
{
    static gsize algorithm;

    if (g_once_init_enter(&algorithm)) {
        EVP_MD *fetched = EVP_MD_fetch(NULL, "SHA256", NULL);
        if (!fetched)
            g_error("libcrypto has no SHA256");
        g_once_init_leave(&algorithm, (gsize)fetched);
    }
    return (const EVP_MD *)algorithm;
}

void ingot_digest_of(const void *data, gsize size, IngotDigest *out)
{
    if (!EVP_Digest(data, size, out->bytes, NULL, sha256(), NULL))
        g_error("libcrypto cannot compute a SHA256");
}

gboolean ingot_digest_of_file(const char *path, IngotDigest *out, guint64 *size, GError **error)
{
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDONLY, 0, error);
    if (fd < 0)
        return FALSE;
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);

    g_autoptr(IngotHasher) hasher = ingot_hasher_new();
    g_autofree guint8 *buffer = g_malloc(READ_SIZE);
    guint64 total = 0;
    for (gssize got = 1; got != 0;) {
        if (!ingot_interrupt_check(error))
            return FALSE;
        got = read(fd, buffer, READ_SIZE);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ingot_error_set_errno(error, errno, "%s: cannot read at offset %" G_GUINT64_FORMAT, path, total);
        ingot_hasher_add(hasher, buffer, (gsize)got);
        total += (guint64)got;
    }
    ingot_hasher_finish(hasher, out);
    if (size)
        *size = total;
    return TRUE;
}

char *ingot_digest_to_text(const IngotDigest *digest)
{
    char *text = g_malloc(INGOT_DIGEST_TEXT_SIZE);
    ingot_digest_write_text(digest, text);
    return text;
}

void ingot_digest_write_text(const IngotDigest *digest, char text[INGOT_DIGEST_TEXT_SIZE])
{
    static const char hex[] = "0123456789abcdef";

    char *next = g_stpcpy(text, PREFIX);
    for (gsize i = 0; i < INGOT_DIGEST_SIZE; i++) {
        *next++ = hex[digest->bytes[i] >> 4];
        *next++ = hex[digest->bytes[i] & 15];
    }
    *next = '\0';
}

static gboolean is_digest(const char *text)
{
    return g_str_has_prefix(text, PREFIX) && strlen(text) == INGOT_DIGEST_TEXT_SIZE - 1 &&
           strspn(text + strlen(PREFIX), "0123456789abcdef") == 2 * (gsize)INGOT_DIGEST_SIZE;
}

gboolean ingot_digest_parse(const char *text, IngotDigest *out, GError **error)
{
    if (!is_digest(text)) {
        g_autofree char *shown = ingot_text_head(text, SHOWN_LENGTH);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "'%s' is no digest: it must be \"sha256:\" and 64 lower-case hex digits", shown);
        return FALSE;
    }
    const char *hex = text + strlen(PREFIX);
    for (gsize i = 0; i < INGOT_DIGEST_SIZE; i++)
        out->bytes[i] = (guint8)(g_ascii_xdigit_value(hex[2 * i]) << 4 | g_ascii_xdigit_value(hex[2 * i + 1]));
    return TRUE;
}

gboolean ingot_digest_equal(gconstpointer a, gconstpointer b)
{
    return memcmp(a, b, sizeof(IngotDigest)) == 0;
}

/* Any four bytes of a SHA-256 are as good a hash as can be had. */
static guint64 mix(guint64 value)
{
    value = (value ^ (value >> 30)) * G_GUINT64_CONSTANT(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * G_GUINT64_CONSTANT(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

/* What nobody outside of the process knows. */
static guint64 hash_seed(void)
{
    static gsize made;
    static guint64 seed;

    if (g_once_init_enter(&made)) {
        seed = ((guint64)g_random_int() << 32) | g_random_int();
        g_once_init_leave(&made, 1);
    }
    return seed;
}

/* A digest may be a peer's word alone: all of it counts, and the seed, else many could be made that a table holds in
 * one place. */
guint ingot_digest_hash(gconstpointer digest)
{
    guint64 words[INGOT_DIGEST_SIZE / sizeof(guint64)], hash = hash_seed();

    memcpy(words, digest, sizeof words);
    for (guint i = 0; i < G_N_ELEMENTS(words); i++)
        hash = mix(hash ^ words[i]);
    return (guint)hash;
}

/* An IngotHasher is libcrypto's context under a name that keeps its headers out of ours. */
static EVP_MD_CTX *context_of(IngotHasher *hasher)
{
    return (EVP_MD_CTX *)hasher;
}

IngotHasher *ingot_hasher_new(void)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!context || !EVP_DigestInit_ex2(context, sha256(), NULL))
        g_error("libcrypto cannot start a SHA256");
    return (IngotHasher *)context;
}

void ingot_hasher_add(IngotHasher *hasher, const void *data, gsize size)
{
    if (!EVP_DigestUpdate(context_of(hasher), data, size))
        g_error("libcrypto cannot go on with a SHA256");
}

void ingot_hasher_finish(IngotHasher *hasher, IngotDigest *out)
{
    if (!EVP_DigestFinal_ex(context_of(hasher), out->bytes, NULL))
        g_error("libcrypto cannot finish a SHA256");
}

void ingot_hasher_free(IngotHasher *hasher)
{
    EVP_MD_CTX_free(context_of(hasher));
}
