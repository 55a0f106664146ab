/* Signatures by certificates for identities, against a trusted root: everything (authority, logs, certificates,
 * entries) is made here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <ingot/error.h>
#include <openssl/ct.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/json.h"
#include "base/text.h"
#include "trust/base64.h"
#include "trust/bundle.h"
#include "trust/dsse.h"
#include "trust/intoto.h"

#define START 1700000000 /* of the trusted root, and of the certificate; it is good for ten minutes */
#define NOON (START + 300)
#define WHO "ci@example.com"
#define ISSUER "https://login.example"

typedef struct {
    EVP_PKEY *key;
    X509 *certificate;
    TrustKey *log, *cert_log;
    EVP_PKEY *newer_log; /* Ed25519 */
} World;

typedef struct {
    World own, foreign;
    IngotDigest image;
    char *root; /* the trusted root's text, of the own world */
} Case;

/* How one signature is made: as it should be, but for what is set here. */
typedef struct {
    const char *san, *issuer, *usage;
    gint64 noted;              /* when; 0: NOON */
    gboolean older_issuer;     /* by the extension of before */
    gboolean foreign_ca;       /* another authority of the same name */
    gboolean no_sct;           /* no certificate log has promised anything */
    gboolean foreign_cert_log; /* another has */
    gboolean foreign_log;      /* another log has noted it */
    gboolean unlogged, no_promise, proof, hashed, message;
    gboolean newer;    /* noted by a log of Rekor, version 2, */
    gboolean envelope; /* as an envelope */
} Making;

/* --- keys, certificates --- */

static EVP_PKEY *new_key(void)
{
    EVP_PKEY *key = EVP_EC_gen("prime256v1");
    assert_non_null(key);
    return key;
}

static void add_extension(X509 *certificate, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static X509 *new_certificate(EVP_PKEY *key, const char *name, const char *issuer, gint64 start, gint64 seconds)
{
    X509 *certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 7);
    ASN1_TIME_set(X509_getm_notBefore(certificate), start);
    ASN1_TIME_set(X509_getm_notAfter(certificate), start + seconds);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8, (const guchar *)name, -1, -1,
                               0);
    X509_NAME_add_entry_by_txt(X509_get_issuer_name(certificate), "CN", MBSTRING_UTF8, (const guchar *)issuer, -1, -1,
                               0);
    return certificate;
}

static void world_set_up(World *world)
{
    world->key = new_key();
    world->certificate = new_certificate(world->key, "authority", "authority", START - 1000, 1000000);
    add_extension(world->certificate, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(world->certificate, NID_key_usage, "critical,keyCertSign");
    assert_true(X509_sign(world->certificate, world->key, EVP_sha256()) > 0);
    world->log = trust_key_generate(NULL);
    world->cert_log = trust_key_generate(NULL);
    world->newer_log = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
}

static void world_tear_down(World *world)
{
    EVP_PKEY_free(world->key);
    X509_free(world->certificate);
    trust_key_free(world->log);
    trust_key_free(world->cert_log);
    EVP_PKEY_free(world->newer_log);
}

static void add_issuer(X509 *certificate, const Making *making)
{
    const char *issuer = making->issuer == NULL ? ISSUER : making->issuer;
    g_autoptr(GByteArray) value = g_byte_array_new();
    const guint8 head[] = {V_ASN1_UTF8STRING, (guint8)strlen(issuer)};
    if (!making->older_issuer) {
        g_byte_array_append(value, head, sizeof head);
    }
    g_byte_array_append(value, (const guint8 *)issuer, (guint)strlen(issuer));
    ASN1_OBJECT *kind = OBJ_txt2obj(making->older_issuer ? "1.3.6.1.4.1.57264.1.1" : "1.3.6.1.4.1.57264.1.8", 1);
    ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
    ASN1_OCTET_STRING_set(octets, value->data, (int)value->len);
    X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, kind, 0, octets);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(octets);
    ASN1_OBJECT_free(kind);
}

static void add_sct(X509 *certificate, const World *issuer, const TrustKey *log)
{
    unsigned char *body = NULL, *key = NULL;
    assert_true(X509_sign(certificate, issuer->key, EVP_sha256()) > 0); /* so that the body names the algorithm */
    int size = i2d_re_X509_tbs(certificate, &body);
    int key_size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(issuer->certificate), &key);
    const guint64 time = (guint64)NOON * 1000;
    IngotDigest digest;
    ingot_digest_of(key, (gsize)key_size, &digest);
    const guint8 head[] = {0,
                           0,
                           (guint8)(time >> 56),
                           (guint8)(time >> 48),
                           (guint8)(time >> 40),
                           (guint8)(time >> 32),
                           (guint8)(time >> 24),
                           (guint8)(time >> 16),
                           (guint8)(time >> 8),
                           (guint8)time,
                           0,
                           1};
    const guint8 length[] = {(guint8)(size >> 16), (guint8)(size >> 8), (guint8)size}, none[] = {0, 0};
    g_autoptr(GByteArray) text = g_byte_array_new();
    g_byte_array_append(text, head, sizeof head);
    g_byte_array_append(text, digest.bytes, sizeof digest.bytes);
    g_byte_array_append(text, length, sizeof length);
    g_byte_array_append(text, body, (guint)size);
    g_byte_array_append(text, none, sizeof none);
    g_autoptr(GBytes) signature = trust_key_sign(log, text->data, text->len, NULL);
    SCT *sct = SCT_new();
    SCT_set_version(sct, SCT_VERSION_V1);
    SCT_set1_log_id(sct, trust_key_fingerprint(log)->bytes, INGOT_DIGEST_SIZE);
    SCT_set_timestamp(sct, time);
    SCT_set_signature_nid(sct, NID_ecdsa_with_SHA256);
    SCT_set1_signature(sct, g_bytes_get_data(signature, NULL), g_bytes_get_size(signature));
    STACK_OF(SCT) *list = sk_SCT_new_null();
    sk_SCT_push(list, sct);
    assert_int_equal(X509_add1_ext_i2d(certificate, NID_ct_precert_scts, list, 0, 0), 1);
    SCT_LIST_free(list);
    OPENSSL_free(body);
    OPENSSL_free(key);
}

static X509 *make_certificate(const Case *c, const Making *making, EVP_PKEY *key)
{
    const World *issuer = making->foreign_ca ? &c->foreign : &c->own;
    X509 *certificate = new_certificate(key, "signer", "authority", START, 600);
    add_extension(certificate, NID_key_usage, "critical,digitalSignature");
    add_extension(certificate, NID_ext_key_usage, making->usage == NULL ? "codeSigning" : making->usage);
    add_extension(certificate, NID_subject_alt_name, making->san == NULL ? "critical,email:" WHO : making->san);
    add_issuer(certificate, making);
    if (!making->no_sct) {
        add_sct(certificate, issuer, making->foreign_cert_log ? c->foreign.cert_log : c->own.cert_log);
    }
    assert_true(X509_sign(certificate, issuer->key, EVP_sha256()) > 0);
    return certificate;
}

static char *der_text(X509 *certificate)
{
    unsigned char *der = NULL;
    int size = i2d_X509(certificate, &der);
    char *text = base64_write(der, (gsize)size);
    OPENSSL_free(der);
    return text;
}

static char *pem_text(X509 *certificate)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;
    PEM_write_bio_X509(bio, certificate);
    long size = BIO_get_mem_data(bio, &data);
    char *text = base64_write(data, (gsize)size);
    BIO_free(bio);
    return text;
}

/* --- the trusted root --- */

static json_t *root_entry(const char *der, const char *id)
{
    g_autofree char *start = ingot_text_time(START - 1000);
    return ingot_json_pack("{s:{s:s, s:{s:s}}, s:{s:s}}", "publicKey", "rawBytes", der, "validFor", "start", start,
                           "logId", "keyId", id);
}

static json_t *root_key(const TrustKey *key)
{
    g_autofree char *pem = trust_key_public_pem(key);
    g_autofree char *id = base64_write(trust_key_fingerprint(key)->bytes, INGOT_DIGEST_SIZE);
    g_auto(GStrv) lines = g_strsplit(pem, "\n", -1);
    g_autofree char *der = g_strconcat(lines[1], lines[2], NULL);
    return root_entry(der, id);
}

static IngotDigest newer_id(const World *world, char **der)
{
    unsigned char *bytes = NULL;
    IngotDigest id;
    int size = i2d_PUBKEY(world->newer_log, &bytes);
    ingot_digest_of(bytes, (gsize)size, &id);
    *der = base64_write(bytes, (gsize)size);
    OPENSSL_free(bytes);
    return id;
}

static json_t *root_newer(const World *world)
{
    g_autofree char *der = NULL;
    IngotDigest digest = newer_id(world, &der);
    g_autofree char *id = base64_write(digest.bytes, sizeof digest.bytes);
    return root_entry(der, id);
}

static char *make_root(const World *world)
{
    g_autofree char *der = der_text(world->certificate), *start = ingot_text_time(START - 1000);
    g_autoptr(json_t) root =
        ingot_json_pack("{s:s, s:[o, o], s:[o], s:[{s:{s:[{s:s}]}, s:{s:s}}]}", "mediaType",
                        "application/vnd.dev.sigstore.trustedroot+json;version=0.1", "tlogs", root_key(world->log),
                        root_newer(world), "ctlogs", root_key(world->cert_log), "certificateAuthorities", "certChain",
                        "certificates", "rawBytes", der, "validFor", "start", start);
    return ingot_json_canonical(root);
}

/* --- bundles --- */

/* The log that notes a signature. */
typedef struct {
    const TrustKey *key;
    EVP_PKEY *newer; /* NULL: the key signs */
    IngotDigest id;
} Log;

static Log log_of(const Case *c, const Making *making)
{
    const World *world = making->foreign_log ? &c->foreign : &c->own;
    g_autofree char *der = NULL;
    return making->newer ? (Log){.newer = world->newer_log, .id = newer_id(world, &der)}
                         : (Log){.key = world->log, .id = *trust_key_fingerprint(world->log)};
}

static GBytes *log_sign(const Log *log, const char *text)
{
    if (log->newer == NULL) {
        return trust_key_sign(log->key, text, strlen(text), NULL);
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char signature[64];
    size_t length = sizeof signature;
    assert_int_equal(EVP_DigestSignInit(context, NULL, NULL, NULL, log->newer), 1);
    assert_int_equal(EVP_DigestSign(context, signature, &length, (const guchar *)text, strlen(text)), 1);
    EVP_MD_CTX_free(context);
    return g_bytes_new(signature, length);
}

static void hash_nodes(const IngotDigest *left, const IngotDigest *right, IngotDigest *node)
{
    guint8 text[1 + 2 * INGOT_DIGEST_SIZE] = {1};
    memcpy(text + 1, left->bytes, sizeof left->bytes);
    memcpy(text + 1 + sizeof left->bytes, right->bytes, sizeof right->bytes);
    ingot_digest_of(text, sizeof text, node);
}

/* In a tree of three, in the middle. */
static json_t *make_proof(const char *body, const Log *log)
{
    IngotDigest leaf, first, last, node;
    g_autofree char *text = g_strconcat(" ", body, NULL);
    text[0] = '\0';
    ingot_digest_of(text, strlen(body) + 1, &leaf);
    ingot_digest_of("first", 5, &first);
    ingot_digest_of("last", 4, &last);
    hash_nodes(&first, &leaf, &node);
    hash_nodes(&node, &last, &node);
    g_autofree char *a = base64_write(first.bytes, sizeof first.bytes),
                    *b = base64_write(last.bytes, sizeof last.bytes);
    g_autofree char *top = base64_write(node.bytes, sizeof node.bytes);
    g_autofree char *note = g_strdup_printf("log.example\n3\n%s\n", top);
    g_autoptr(GBytes) signature = log_sign(log, note);
    g_autoptr(GByteArray) line = g_byte_array_new();
    g_byte_array_append(line, log->id.bytes, 4);
    g_byte_array_append(line, g_bytes_get_data(signature, NULL), (guint)g_bytes_get_size(signature));
    g_autofree char *by = base64_write(line->data, line->len);
    g_autofree char *envelope = g_strdup_printf("%s\n\xe2\x80\x94 log.example %s\n", note, by);
    return ingot_json_pack("{s:s, s:s, s:s, s:[s, s], s:{s:s}}", "logIndex", "1", "treeSize", "3", "rootHash", top,
                           "hashes", a, b, "checkpoint", "envelope", envelope);
}

/* What the signature of an envelope signs, or the payload itself. */
static char *newer_body(const Making *making, const IngotDigest *digest, const char *payload, const char *signature,
                        X509 *certificate)
{
    IngotDigest of_payload;
    ingot_digest_of(payload, strlen(payload), &of_payload);
    const IngotDigest *hashed = making->envelope ? &of_payload : digest;
    g_autofree char *der = der_text(certificate), *hash = base64_write(hashed->bytes, sizeof hashed->bytes);
    g_autoptr(json_t) data = ingot_json_pack("{s:s, s:s}", "algorithm", "SHA2_256", "digest", hash);
    g_autoptr(json_t) by = ingot_json_pack("{s:s, s:{s:{s:s}, s:s}}", "content", signature, "verifier",
                                           "x509Certificate", "rawBytes", der, "keyDetails", "PKIX_ECDSA_P256_SHA_256");
    g_autoptr(json_t) spec =
        making->envelope ? ingot_json_pack("{s:{s:O, s:[O]}}", "dsseV002", "payloadHash", data, "signatures", by)
                         : ingot_json_pack("{s:{s:O, s:O}}", "hashedRekordV002", "data", data, "signature", by);
    g_autoptr(json_t) body = ingot_json_pack("{s:s, s:s, s:O}", "kind", making->envelope ? "dsse" : "hashedrekord",
                                             "apiVersion", "0.0.2", "spec", spec);
    return ingot_json_canonical(body);
}

static char *make_body(const Making *making, const IngotDigest *digest, const char *payload, const char *signature,
                       X509 *certificate)
{
    g_autofree char *pem = pem_text(certificate), *text = ingot_digest_to_text(digest), *inner = NULL;
    if (making->newer) {
        return newer_body(making, digest, payload, signature, certificate);
    }
    if (making->hashed || making->message) {
        g_autoptr(json_t) body =
            ingot_json_pack("{s:s, s:s, s:{s:{s:{s:s, s:s}}, s:{s:s, s:{s:s}}}}", "kind", "hashedrekord", "apiVersion",
                            "0.0.1", "spec", "data", "hash", "algorithm", "sha256", "value", text + strlen("sha256:"),
                            "signature", "content", signature, "publicKey", "content", pem);
        return ingot_json_canonical(body);
    }
    IngotDigest hash;
    ingot_digest_of(payload, strlen(payload), &hash);
    inner = ingot_digest_to_text(&hash);
    g_autoptr(json_t) body =
        ingot_json_pack("{s:s, s:s, s:{s:{s:s, s:s}, s:[{s:s, s:s}]}}", "kind", "dsse", "apiVersion", "0.0.1", "spec",
                        "payloadHash", "algorithm", "sha256", "value", inner + strlen("sha256:"), "signatures",
                        "signature", signature, "verifier", pem);
    return ingot_json_canonical(body);
}

static json_t *make_entry(const Case *c, const Making *making, const char *body)
{
    const Log log = log_of(c, making);
    const char *kind =
        making->hashed || making->message || (making->newer && !making->envelope) ? "hashedrekord" : "dsse";
    const gint64 noted = making->noted == 0 ? NOON : making->noted;
    g_autofree char *id = base64_write(log.id.bytes, sizeof log.id.bytes);
    g_autofree char *hex = ingot_digest_to_text(&log.id);
    g_autofree char *text = base64_write(body, strlen(body)), *time = g_strdup_printf("%" G_GINT64_FORMAT, noted);
    g_autofree char *promise =
        g_strdup_printf("{\"body\":\"%s\",\"integratedTime\":%s,\"logID\":\"%s\",\"logIndex\":42}", text, time,
                        hex + strlen("sha256:"));
    g_autoptr(GBytes) signature = log_sign(&log, promise);
    g_autofree char *set = base64_write(g_bytes_get_data(signature, NULL), g_bytes_get_size(signature));
    json_t *entry = ingot_json_pack("{s:s, s:s, s:s, s:{s:s}, s:{s:s, s:s}}", "logIndex", "42", "integratedTime", time,
                                    "canonicalizedBody", text, "logId", "keyId", id, "kindVersion", "kind", kind,
                                    "version", making->newer ? "0.0.2" : "0.0.1");
    if (!making->no_promise) {
        json_object_set_new(entry, "inclusionPromise", ingot_json_pack("{s:s}", "signedEntryTimestamp", set));
    }
    if (making->proof) {
        json_object_set_new(entry, "inclusionProof", make_proof(body, &log));
    }
    return entry;
}

/* The signature's base64, of bytes that have that digest; by a key of its own. */
static char *make_signature(EVP_PKEY *key, const void *data, gsize size)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char signature[80];
    size_t length = sizeof signature;
    assert_int_equal(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_DigestSign(context, signature, &length, data, size), 1);
    EVP_MD_CTX_free(context);
    return base64_write(signature, length);
}

static json_t *make_bundle(const Case *c, const Making *making)
{
    EVP_PKEY *key = new_key();
    X509 *certificate = make_certificate(c, making, key);
    g_autoptr(json_t) nothing = json_object();
    g_autofree char *statement = intoto_write(&c->image, NULL, TRUST_SIGNED_PREDICATE, nothing);
    g_autoptr(GBytes) pae = dsse_pae(DSSE_STATEMENT, statement, strlen(statement));
    g_autoptr(GBytes) text = making->message ? g_bytes_new("an image", 8) : g_bytes_ref(pae);
    g_autofree char *signature = make_signature(key, g_bytes_get_data(text, NULL), g_bytes_get_size(text));
    g_autofree char *der = der_text(certificate), *payload = base64_write(statement, strlen(statement));
    IngotDigest digest;
    ingot_digest_of(g_bytes_get_data(text, NULL), g_bytes_get_size(text), &digest);
    g_autofree char *body = make_body(making, &digest, statement, signature, certificate);
    json_t *bundle = ingot_json_pack("{s:s, s:{s:{s:s}, s:[]}}", "mediaType", TRUST_BUNDLE_TYPE, "verificationMaterial",
                                     "certificate", "rawBytes", der, "tlogEntries");
    if (!making->unlogged) {
        json_array_append_new(json_object_get(json_object_get(bundle, "verificationMaterial"), "tlogEntries"),
                              make_entry(c, making, body));
    }
    json_object_set_new(bundle, making->message ? "messageSignature" : "dsseEnvelope",
                        making->message ? ingot_json_pack("{s:s}", "signature", signature)
                                        : ingot_json_pack("{s:s, s:s, s:[{s:s}]}", "payload", payload, "payloadType",
                                                          DSSE_STATEMENT, "signatures", "sig", signature));
    X509_free(certificate);
    EVP_PKEY_free(key);
    return bundle;
}

static int set_up(void **state)
{
    Case *c = g_new0(Case, 1);
    world_set_up(&c->own);
    world_set_up(&c->foreign);
    ingot_digest_of("an image", 8, &c->image);
    c->root = make_root(&c->own);
    *state = c;
    return 0;
}

static int tear_down(void **state)
{
    Case *c = *state;
    world_tear_down(&c->own);
    world_tear_down(&c->foreign);
    g_free(c->root);
    g_free(c);
    return 0;
}

/* --- what is asked --- */

static const TrustIdentity wanted[] = {{"https://git.example/a/b", ISSUER}, {WHO, ISSUER}};

static gboolean counts_by(const Case *c, const char *root_text, const json_t *bundle, const IngotDigest *image,
                          const TrustIdentity **who, GError **error)
{
    g_auto(TrustResult) result = {0};
    g_autofree char *text = ingot_json_canonical(bundle);
    g_autoptr(TrustedRoot) root = trusted_root_parse(root_text, strlen(root_text), "root.json", error);
    (void)c;
    assert_non_null(root);
    const TrustSigners signers = {.identities = {root, wanted, G_N_ELEMENTS(wanted)}};
    gboolean counts = trust_bundle_verify(text, strlen(text), &signers, image, &result, error);
    assert_true(counts == (result.identity != NULL));
    *who = result.identity;
    return counts;
}

static void counts(const Case *c, const char *root, const Making *making, guint who)
{
    const TrustIdentity *found;
    g_autoptr(GError) error = NULL;
    g_autoptr(json_t) bundle = make_bundle(c, making);
    if (!counts_by(c, root, bundle, &c->image, &found, &error)) {
        fail_msg("%s", error->message);
    }
    assert_ptr_equal(found, &wanted[who]);
}

static void denied_of(const Case *c, const char *root, const json_t *bundle, const IngotDigest *image, const char *why)
{
    const TrustIdentity *found;
    g_autoptr(GError) error = NULL;
    if (counts_by(c, root, bundle, image, &found, &error)) {
        fail_msg("it counts, against: %s", why);
    }
    if (strstr(error->message, why) == NULL) {
        fail_msg("%s, not: %s", error->message, why);
    }
}

static void denied(const Case *c, const char *root, const Making *making, const char *why)
{
    g_autoptr(json_t) bundle = make_bundle(c, making);
    denied_of(c, root, bundle, &c->image, why);
}

/* The trusted root without one of its lists, or with another's. */
static char *root_with(const Case *c, const char *list, json_t *value)
{
    g_autoptr(json_t) root = json_loads(c->root, 0, NULL);
    json_object_set_new(root, list, value);
    return ingot_json_canonical(root);
}

static void right_ones_count(void **state)
{
    const Case *c = *state;
    g_autofree char *no_cert_logs = root_with(c, "ctlogs", json_null());
    counts(c, c->root, &(Making){.proof = FALSE}, 1);
    counts(c, c->root, &(Making){.proof = TRUE}, 1);
    counts(c, c->root, &(Making){.hashed = TRUE}, 1);
    counts(c, c->root, &(Making){.message = TRUE, .proof = TRUE}, 1);
    counts(c, c->root, &(Making){.newer = TRUE, .proof = TRUE}, 1);
    counts(c, c->root, &(Making){.newer = TRUE, .message = TRUE}, 1);
    counts(c, c->root, &(Making){.newer = TRUE, .envelope = TRUE, .proof = TRUE}, 1);
    counts(c, c->root, &(Making){.older_issuer = TRUE}, 1);
    counts(c, c->root, &(Making){.san = "critical,URI:https://git.example/a/b"}, 0);
    counts(c, no_cert_logs, &(Making){.no_sct = TRUE}, 1);
}

static void others_are_denied(void **state)
{
    const Case *c = *state;
    denied(c, c->root, &(Making){.san = "email:ci@example.org"}, "ci@example.org");
    denied(c, c->root, &(Making){.san = "DNS:ci@example.com"}, "nobody");
    denied(c, c->root, &(Making){.issuer = "https://login.example.evil"}, "https://login.example.evil has vouched");
    denied(c, c->root, &(Making){.usage = "serverAuth"}, "not for signing code");
    denied(c, c->root, &(Making){.foreign_ca = TRUE}, "not good");
    denied(c, c->root, &(Making){.no_sct = TRUE}, "no certificate log");
    denied(c, c->root, &(Making){.foreign_cert_log = TRUE}, "no certificate log");
    denied(c, c->root, &(Making){.foreign_log = TRUE}, "the trusted root does not have");
    denied(c, c->root, &(Making){.foreign_log = TRUE, .newer = TRUE}, "the trusted root does not have");
}

/* The certificate expired long ago: that it was good then has to be proved. */
static void its_time_is_proved(void **state)
{
    const Case *c = *state;
    g_autofree char *no_logs = root_with(c, "tlogs", json_array());
    denied(c, c->root, &(Making){.noted = START + 601}, "certificate has expired");
    denied(c, c->root, &(Making){.noted = START - 1}, "not yet valid");
    denied(c, c->root, &(Making){.noted = START - 2000}, "was not trusted at that time");
    denied(c, c->root, &(Making){.unlogged = TRUE}, "no entry of a transparency log");
    denied(c, c->root, &(Making){.no_promise = TRUE, .proof = TRUE}, "nothing proves when");
    denied(c, c->root, &(Making){.no_promise = TRUE}, "neither an inclusion promise");
    denied(c, no_logs, &(Making){.unlogged = TRUE}, "nothing proves when");
    g_autoptr(json_t) logs = ingot_json_pack("[o]", root_key(c->own.log));
    json_object_set_new(json_object_get(json_array_get(logs, 0), "publicKey"), "validFor",
                        ingot_json_pack("{s:s, s:s}", "start", "2020-01-01T00:00:00Z", "end", "2021-01-01T00:00:00Z"));
    g_autofree char *ended = root_with(c, "tlogs", json_incref(logs));
    denied(c, ended, &(Making){.proof = TRUE}, "was not trusted at that time");
    g_autofree char *text = make_root(&c->foreign);
    g_autoptr(json_t) foreign = json_loads(text, 0, NULL);
    g_autofree char *two =
        root_with(c, "certificateAuthorities", json_incref(json_object_get(foreign, "certificateAuthorities")));
    denied(c, two, &(Making){.proof = TRUE}, "not good");
}

static json_t *entry_of(const json_t *bundle)
{
    const json_t *material = json_object_get(bundle, "verificationMaterial");
    return json_array_get(json_object_get(material, "tlogEntries"), 0);
}

/* Another one's entry proves nothing, however right it is. */
static void foreign_entries_prove_nothing(void **state)
{
    const Case *c = *state;
    for (guint i = 0; i < 5; i++) {
        const Making making = {.proof = TRUE, .hashed = i == 1, .message = i == 2, .newer = i >= 3, .envelope = i == 4};
        g_autoptr(json_t) own = make_bundle(c, &making), other = make_bundle(c, &making);
        json_array_set(json_object_get(json_object_get(own, "verificationMaterial"), "tlogEntries"), 0,
                       entry_of(other));
        denied_of(c, c->root, own, &c->image, "about another signature");
    }
}

static void changed_ones_are_denied(void **state)
{
    const Case *c = *state;
    IngotDigest image;
    const struct {
        const char *path; /* of members of the entry, with a slash between */
        const char *value, *why;
    } all[] = {
        {"integratedTime", "1700000301", "signed entry timestamp"},
        {"logIndex", "43", "signed entry timestamp"},
        {"logIndex", "-1", "not a number"},
        {"canonicalizedBody", "e30=", "not JSON of the kind"},
        {"inclusionPromise/signedEntryTimestamp", "AAAA", "signed entry timestamp"},
        {"inclusionProof/logIndex", "0", "inclusion proof"},
        {"inclusionProof/logIndex", "3", "inclusion proof"},
        {"inclusionProof/treeSize", "4", "inclusion proof"},
        {"inclusionProof/treeSize", "0", "inclusion proof"},
        {"inclusionProof/rootHash", "AAAA", "inclusion proof"},
        {"inclusionProof/checkpoint/envelope", "log.example\n3\nAAAA\n\n", "checkpoint"},
        {"kindVersion/version", "0.0.3", "not JSON of the kind"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(all); i++) {
        g_autoptr(json_t) bundle = make_bundle(c, &(Making){.proof = TRUE});
        json_t *at = entry_of(bundle);
        g_auto(GStrv) parts = g_strsplit(all[i].path, "/", -1);
        guint last = g_strv_length(parts) - 1;
        for (guint j = 0; j < last; j++) {
            at = json_object_get(at, parts[j]);
        }
        json_object_set_new(at, parts[last], json_string(all[i].value));
        denied_of(c, c->root, bundle, &c->image, all[i].why);
    }
    g_autoptr(json_t) bundle = make_bundle(c, &(Making){.proof = TRUE});
    ingot_digest_of("another", 7, &image);
    denied_of(c, c->root, bundle, &image, "another image");
    json_object_set_new(json_object_get(bundle, "dsseEnvelope"), "payload", json_string("AAAA"));
    denied_of(c, c->root, bundle, &c->image, "changed since");
    json_object_set_new(json_object_get(json_object_get(bundle, "verificationMaterial"), "certificate"), "rawBytes",
                        json_string("AAAA"));
    denied_of(c, c->root, bundle, &c->image, "X.509");
}

static void bad_roots_are_refused(void **state)
{
    const Case *c = *state;
    const struct {
        const char *member, *value, *why;
    } all[] = {
        {"mediaType", "\"application/json\"", "mediaType"},
        {"mediaType", "1", "mediaType"},
        {"tlogs", "{}", "tlogs: a list"},
        {"tlogs", "[{}]", "tlogs[0]: logId.keyId"},
        {"ctlogs", "[{\"logId\":{\"keyId\":\"AAAA\"},\"publicKey\":{\"rawBytes\":\"AAAA\"}}]", "validFor"},
        {"certificateAuthorities", "[{}]", "certificateAuthorities[0]: certChain"},
        {"certificateAuthorities",
         "[{\"certChain\":{\"certificates\":[{\"rawBytes\":\"AAAA\"}]},\"validFor\":{\"start\":\"2020-01-01T00:00:"
         "00Z\"}}]",
         "X.509"},
        {"timestampAuthorities",
         "[{\"certChain\":{\"certificates\":[{\"rawBytes\":\"AAAA\"}]},\"validFor\":{\"start\":\"yesterday\"}}]",
         "start"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(all); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *text = root_with(c, all[i].member, json_loads(all[i].value, JSON_DECODE_ANY, NULL));
        assert_null(trusted_root_parse(text, strlen(text), "root.json", &error));
        if (!g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID) || strstr(error->message, all[i].why) == NULL ||
            !g_str_has_prefix(error->message, "root.json: ")) {
            fail_msg("%s, not: %s", error->message, all[i].why);
        }
    }
    for (gsize size = 0; size < strlen(c->root); size += 13) {
        assert_null(trusted_root_parse(c->root, size, "root.json", NULL));
    }
    g_autofree char *large = g_strnfill(2u << 20, ' ');
    assert_null(trusted_root_parse(large, 2u << 20, "root.json", NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(right_ones_count, set_up, tear_down),
        cmocka_unit_test_setup_teardown(others_are_denied, set_up, tear_down),
        cmocka_unit_test_setup_teardown(its_time_is_proved, set_up, tear_down),
        cmocka_unit_test_setup_teardown(foreign_entries_prove_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(changed_ones_are_denied, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_roots_are_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
