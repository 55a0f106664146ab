#include "trust/logentry.h"

#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "trust/base64.h"

#define BODY_MOST (1u << 18)           /* bytes */
#define VALUES_MOST 1024u              /* of its JSON */
#define ID_MOST 64u                    /* bytes of a log's number */
#define SIGNATURE_MOST 4096u           /* bytes */
#define CERTIFICATE_MOST 65536u        /* bytes of PEM */
#define HASHES_MOST 64u                /* of a proof: a tree has less than 2^63 leaves */
#define CHECKPOINT_MOST 65536u         /* bytes */
#define CHECKPOINT_LINES 64            /* more of them are one */
#define HINT_SIZE 4                    /* bytes of a log's number, ahead of its signature */
#define SIGNATURE_MARK "\xe2\x80\x94 " /* a dash, and a blank */

static gboolean logentry_corrupt(GError **error, const char *why)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "its log entry: %s", why);
    return FALSE;
}

static gboolean logentry_denied(GError **error, const char *why)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED, "its log entry: %s", why);
    return FALSE;
}

/* Protobuf's JSON has numbers of 64 bits as texts, and leaves a 0 out. */
static gboolean logentry_number(const json_t *object, const char *member, gint64 *number, GError **error)
{
    const json_t *value = json_object_get(object, member);
    guint64 read = 0;
    *number = json_integer_value(value);
    if (json_is_string(value) && g_ascii_string_to_unsigned(json_string_value(value), 10, 0, G_MAXINT64, &read, NULL)) {
        *number = (gint64)read;
    } else if (value != NULL && !json_is_integer(value)) {
        *number = -1;
    }
    return *number >= 0 || logentry_corrupt(error, "one of its numbers is not a number");
}

/* --- what it is about --- */

static gboolean body_has_hash(const json_t *hash, const IngotDigest *digest)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(digest, text);
    return g_strcmp0(json_string_value(json_object_get(hash, "algorithm")), "sha256") == 0 &&
           g_strcmp0(json_string_value(json_object_get(hash, "value")), text + strlen("sha256:")) == 0;
}

static gboolean body_is_by(GBytes *signature, X509 *certificate, const SignedFact *fact)
{
    return signature != NULL && g_bytes_equal(signature, fact->signature) && certificate != NULL &&
           X509_cmp(certificate, fact->certificate) == 0;
}

static gboolean body_has_signer(const json_t *signature, const char *signature_member, const json_t *key,
                                const char *key_member, const SignedFact *fact)
{
    g_autoptr(GBytes) bytes = x509_member(signature, signature_member, SIGNATURE_MOST);
    g_autoptr(GBytes) pem = x509_member(key, key_member, CERTIFICATE_MOST);
    g_autoptr(X509) certificate = pem == NULL ? NULL : x509_read_pem(pem);
    return body_is_by(bytes, certificate, fact);
}

static gboolean body_fits_hashed(const json_t *spec, const SignedFact *fact)
{
    const json_t *signature = json_object_get(spec, "signature");
    return body_has_hash(json_object_get(json_object_get(spec, "data"), "hash"), &fact->digest) &&
           body_has_signer(signature, "content", json_object_get(signature, "publicKey"), "content", fact);
}

/* FALSE: no envelope was signed. */
static gboolean fact_payload(const SignedFact *fact, IngotDigest *payload)
{
    if (fact->payload == NULL) {
        return FALSE;
    }
    ingot_digest_of(g_bytes_get_data(fact->payload, NULL), g_bytes_get_size(fact->payload), payload);
    return TRUE;
}

static gboolean body_fits_dsse(const json_t *spec, const SignedFact *fact)
{
    const json_t *signatures = json_object_get(spec, "signatures"), *first = json_array_get(signatures, 0);
    IngotDigest payload;
    return fact_payload(fact, &payload) && json_array_size(signatures) == 1 &&
           body_has_hash(json_object_get(spec, "payloadHash"), &payload) &&
           body_has_signer(first, "signature", first, "verifier", fact);
}

/* Newer logs (Rekor, version 2) write hashes and signers as protobuf's JSON does. */
static gboolean newer_has_hash(const json_t *hash, const IngotDigest *digest)
{
    g_autofree char *text = base64_write(digest->bytes, sizeof digest->bytes);
    return g_strcmp0(json_string_value(json_object_get(hash, "algorithm")), "SHA2_256") == 0 &&
           g_strcmp0(json_string_value(json_object_get(hash, "digest")), text) == 0;
}

static gboolean newer_has_signer(const json_t *signature, const SignedFact *fact)
{
    g_autoptr(GBytes) bytes = x509_member(signature, "content", SIGNATURE_MOST);
    g_autoptr(X509) certificate =
        x509_read(json_object_get(json_object_get(signature, "verifier"), "x509Certificate"), NULL);
    return body_is_by(bytes, certificate, fact);
}

/* Of envelopes too: then the hash is of what an envelope's signature signs. */
static gboolean body_fits_newer_hashed(const json_t *spec, const SignedFact *fact)
{
    const json_t *entry = json_object_get(spec, "hashedRekordV002");
    return newer_has_hash(json_object_get(entry, "data"), &fact->digest) &&
           newer_has_signer(json_object_get(entry, "signature"), fact);
}

static gboolean body_fits_newer_dsse(const json_t *spec, const SignedFact *fact)
{
    const json_t *entry = json_object_get(spec, "dsseV002"), *signatures = json_object_get(entry, "signatures");
    IngotDigest payload;
    return fact_payload(fact, &payload) && json_array_size(signatures) == 1 &&
           newer_has_hash(json_object_get(entry, "payloadHash"), &payload) &&
           newer_has_signer(json_array_get(signatures, 0), fact);
}

static const struct {
    const char *kind, *version;
    gboolean (*fits)(const json_t *spec, const SignedFact *fact);
} kinds[] = {
    {"hashedrekord", "0.0.1", body_fits_hashed},
    {"hashedrekord", "0.0.2", body_fits_newer_hashed},
    {"dsse", "0.0.1", body_fits_dsse},
    {"dsse", "0.0.2", body_fits_newer_dsse},
};

static gboolean body_check(GBytes *body, const json_t *entry, const SignedFact *fact, GError **error)
{
    g_autoptr(json_t) root = ingot_json_parse_bytes(body, "the body", VALUES_MOST, NULL);
    const json_t *told = json_object_get(entry, "kindVersion");
    const char *kind = json_string_value(json_object_get(root, "kind"));
    const char *version = json_string_value(json_object_get(root, "apiVersion"));
    if (kind == NULL || version == NULL || g_strcmp0(json_string_value(json_object_get(told, "kind")), kind) != 0 ||
        g_strcmp0(json_string_value(json_object_get(told, "version")), version) != 0) {
        return logentry_corrupt(error, "its body is not JSON of the kind that it says");
    }
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (strcmp(kinds[i].kind, kind) == 0 && strcmp(kinds[i].version, version) == 0) {
            return kinds[i].fits(json_object_get(root, "spec"), fact) ||
                   logentry_denied(error, "it is about another signature");
        }
    }
    return logentry_denied(
        error, "it is of another kind than those that are read: hashedrekord and dsse, each of version 0.0.1 "
               "or 0.0.2");
}

/* --- the promise --- */

/* What the log has signed: these members, sorted, without blanks. Free it. */
static char *promise_text(const json_t *entry, const TrustLog *log, gint64 time, gint64 index)
{
    g_autoptr(GString) id = g_string_new(NULL);
    gsize size;
    const guint8 *bytes = g_bytes_get_data(log->id, &size);
    for (gsize i = 0; i < size; i++) {
        g_string_append_printf(id, "%02x", bytes[i]);
    }
    g_autoptr(json_t) root =
        ingot_json_pack("{s:O, s:I, s:s, s:I}", "body", json_object_get(entry, "canonicalizedBody"), "integratedTime",
                        (json_int_t)time, "logID", id->str, "logIndex", (json_int_t)index);
    return ingot_json_canonical(root);
}

static gboolean promise_check(const json_t *entry, const json_t *promise, const TrustLog *log, gint64 *time,
                              GError **error)
{
    gint64 index;
    g_autoptr(GBytes) signature = x509_member(promise, "signedEntryTimestamp", SIGNATURE_MOST);
    if (!logentry_number(entry, "logIndex", &index, error) || !logentry_number(entry, "integratedTime", time, error)) {
        return FALSE;
    }
    if (signature == NULL) {
        return logentry_corrupt(error, "its signedEntryTimestamp is not base64, or missing");
    }
    gsize size;
    const void *bytes = g_bytes_get_data(signature, &size);
    g_autofree char *text = promise_text(entry, log, *time, index);
    return trust_log_verify(log, text, strlen(text), bytes, size) ||
           logentry_denied(error, "its signed entry timestamp is not the log's");
}

/* --- the proof --- */

static void tree_node(guint8 kind, const IngotDigest *left, const IngotDigest *right, IngotDigest *node)
{
    g_autoptr(IngotHasher) hasher = ingot_hasher_new();
    ingot_hasher_add(hasher, &kind, 1);
    ingot_hasher_add(hasher, left->bytes, sizeof left->bytes);
    ingot_hasher_add(hasher, right->bytes, sizeof right->bytes);
    ingot_hasher_finish(hasher, node);
}

static void tree_leaf(GBytes *body, IngotDigest *leaf)
{
    static const guint8 kind = 0;
    g_autoptr(IngotHasher) hasher = ingot_hasher_new();
    ingot_hasher_add(hasher, &kind, 1);
    ingot_hasher_add(hasher, g_bytes_get_data(body, NULL), g_bytes_get_size(body));
    ingot_hasher_finish(hasher, leaf);
}

static gboolean proof_hash(const json_t *value, IngotDigest *hash)
{
    const char *text = json_string_value(value);
    g_autoptr(GBytes) bytes = text == NULL ? NULL : base64_read(text, sizeof hash->bytes);
    if (bytes == NULL || g_bytes_get_size(bytes) != sizeof hash->bytes) {
        return FALSE;
    }
    memcpy(hash->bytes, g_bytes_get_data(bytes, NULL), sizeof hash->bytes);
    return TRUE;
}

/* The root of the tree, from a leaf and what lies beside its way up (RFC 9162, section 2.1.3.2). */
static gboolean proof_root(const json_t *hashes, gint64 index, gint64 size, IngotDigest *node)
{
    guint64 own = (guint64)index, last = (guint64)size - 1;
    for (size_t i = 0; i < json_array_size(hashes); i++) {
        IngotDigest beside;
        if (last == 0 || !proof_hash(json_array_get(hashes, i), &beside)) {
            return FALSE;
        }
        if ((own & 1) != 0 || own == last) {
            tree_node(1, &beside, node, node);
            while (own != 0 && (own & 1) == 0) {
                own >>= 1;
                last >>= 1;
            }
        } else {
            tree_node(1, node, &beside, node);
        }
        own >>= 1;
        last >>= 1;
    }
    return last == 0;
}

/* One line of signatures: a dash, a name, and in base64 the beginning of the log's number and the signature. */
static gboolean checkpoint_line(const char *line, const char *text, gsize length, const TrustLog *log)
{
    const char *blank = g_str_has_prefix(line, SIGNATURE_MARK) ? strrchr(line, ' ') : NULL;
    g_autoptr(GBytes) bytes = blank == NULL ? NULL : base64_read(blank + 1, SIGNATURE_MOST);
    gsize size = 0;
    const guint8 *data = bytes == NULL ? NULL : g_bytes_get_data(bytes, &size);
    return size > HINT_SIZE && g_bytes_get_size(log->id) >= HINT_SIZE &&
           memcmp(data, g_bytes_get_data(log->id, NULL), HINT_SIZE) == 0 &&
           trust_log_verify(log, text, length, data + HINT_SIZE, size - HINT_SIZE);
}

static gboolean checkpoint_signed(const char *text, const char *signatures, const TrustLog *log)
{
    gsize length = (gsize)(signatures - text) - 1;
    g_auto(GStrv) lines = g_strsplit(signatures, "\n", CHECKPOINT_LINES);
    for (guint i = 0; lines[i] != NULL; i++) {
        if (checkpoint_line(lines[i], text, length, log)) {
            return TRUE;
        }
    }
    return FALSE;
}

/* The log's word that a tree of that size has that root: its name, both of these, and more that is signed; then, after
 * an empty line, who has signed that. */
static gboolean checkpoint_check(const char *text, const TrustLog *log, gint64 size, const IngotDigest *root)
{
    const char *ends = text == NULL || strlen(text) > CHECKPOINT_MOST ? NULL : strstr(text, "\n\n");
    if (ends == NULL || !checkpoint_signed(text, ends + 2, log)) {
        return FALSE;
    }
    g_autofree char *head = g_strndup(text, (gsize)(ends - text)), *own = base64_write(root->bytes, sizeof root->bytes);
    g_autofree char *told = g_strdup_printf("%" G_GINT64_FORMAT, size);
    g_auto(GStrv) lines = g_strsplit(head, "\n", CHECKPOINT_LINES);
    return g_strv_length(lines) >= 3 && strcmp(lines[1], told) == 0 && strcmp(lines[2], own) == 0;
}

static gboolean proof_check(GBytes *body, const json_t *proof, const TrustLog *log, GError **error)
{
    gint64 index, size;
    IngotDigest root, told;
    const json_t *hashes = json_object_get(proof, "hashes");
    const char *checkpoint = json_string_value(json_object_get(json_object_get(proof, "checkpoint"), "envelope"));
    if (!logentry_number(proof, "logIndex", &index, error) || !logentry_number(proof, "treeSize", &size, error)) {
        return FALSE;
    }
    tree_leaf(body, &root);
    if (index >= size || json_array_size(hashes) > HASHES_MOST || !proof_root(hashes, index, size, &root) ||
        !proof_hash(json_object_get(proof, "rootHash"), &told) || !ingot_digest_equal(&root, &told)) {
        return logentry_denied(error, "its inclusion proof does not lead to the tree's root");
    }
    return checkpoint_check(checkpoint, log, size, &root) ||
           logentry_denied(error, "the checkpoint of its inclusion proof is not the log's, or of another tree");
}

/* --- all of it --- */

static const TrustLog *logentry_log(const json_t *entry, const TrustedRoot *root, GError **error)
{
    g_autoptr(GBytes) id = x509_member(json_object_get(entry, "logId"), "keyId", ID_MOST);
    const TrustLog *log =
        id == NULL ? NULL : trusted_root_log(root->logs, g_bytes_get_data(id, NULL), g_bytes_get_size(id));
    if (log == NULL) {
        logentry_denied(error, "it is of a log that the trusted root does not have");
    }
    return log;
}

gboolean logentry_verify(const json_t *entry, const SignedFact *fact, const TrustedRoot *root, const TrustLog **log,
                         gint64 *time, GError **error)
{
    const json_t *promise = json_object_get(entry, "inclusionPromise"),
                 *proof = json_object_get(entry, "inclusionProof");
    g_autoptr(GBytes) body = x509_member(entry, "canonicalizedBody", BODY_MOST);
    *time = 0;
    *log = logentry_log(entry, root, error);
    if (*log == NULL) {
        return FALSE;
    }
    if (body == NULL) {
        return logentry_corrupt(error, "its canonicalizedBody is not base64, missing, or too large");
    }
    if (!json_is_object(promise) && !json_is_object(proof)) {
        return logentry_denied(error, "it has neither an inclusion promise nor an inclusion proof");
    }
    return body_check(body, entry, fact, error) &&
           (!json_is_object(promise) || promise_check(entry, promise, *log, time, error)) &&
           (!json_is_object(proof) || proof_check(body, proof, *log, error));
}
