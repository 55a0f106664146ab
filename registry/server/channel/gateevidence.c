#include "server/channel/gateevidence.h"

#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "base/ocidigest.h"
#include "base/text.h"
#include "trust/base64.h"
#include "trust/bundle.h"

#define EVIDENCE_MAX (16u << 20)   /* bytes of one */
#define EVIDENCE_VALUES (1u << 20) /* of its JSON */
#define EVIDENCE_SPDX_ARTIFACT "application/spdx+json"
#define REFUSALS_TOLD 3u
#define WHY_TOLD 200u /* bytes */

/* Whoever has it holds a document, which takes many times its size once it is parsed. */
static GMutex document_lock;

void evidence_reading_clear(EvidenceReading *reading)
{
    if (reading->told != NULL) {
        g_string_free(reading->told, TRUE);
        reading->told = NULL;
    }
}

static void reading_refuse(EvidenceReading *reading, const IngotDigest *digest, const char *why)
{
    g_autofree char *text = ingot_digest_to_text(digest), *head = ingot_text_head(why, WHY_TOLD);
    reading->told = reading->told == NULL ? g_string_new(NULL) : reading->told;
    if (reading->refused < REFUSALS_TOLD) {
        g_string_append_printf(reading->told, "%s%.19s (%s)", reading->refused == 0 ? "" : ", ", text, head);
    }
    reading->refused++;
}

/* Counts what is about to be read, or has been. */
static gboolean reading_afford(EvidenceReading *reading, guint64 bytes, GError **error)
{
    reading->bytes += bytes;
    if (reading->bytes > EVIDENCE_BUDGET) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT, "more is attached to it than the %u MiB that a gate reads",
                    EVIDENCE_BUDGET >> 20);
        return FALSE;
    }
    return TRUE;
}

/* What is read of one kind of attachment, and for whom. */
typedef struct {
    const GateCase *its;
    EvidenceReading *reading;
    const char *type;            /* of predicates */
    const TrustSigners *signers; /* NULL: signed or not */
    EvidenceFunc func;
    gpointer user;
} Taking;

/* The blob that an attachment is about; DENIED: none. */
static gboolean find_layer(const GateCase *its, GBytes *manifest, OciDigest *named, IngotDigest *digest, GError **error)
{
    g_autoptr(json_t) root = ingot_json_parse_bytes(manifest, "the attachment", EVIDENCE_VALUES, NULL);
    const json_t *layer = json_array_get(json_object_get(root, "layers"), 0);
    const char *text = json_string_value(json_object_get(layer, "digest"));
    if (text == NULL || !oci_digest_parse(text, named, NULL)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED, "it has no layer");
        return FALSE;
    }
    return storage_resolve(its->storage, named, digest, error);
}

/* Its bytes; NOT_FOUND, with what helps. */
static StorageBlob *find_blob(const GateCase *its, const IngotDigest *attachment, const OciDigest *named,
                              const IngotDigest *digest, GError **error)
{
    GError *problem = NULL;
    StorageBlob *blob = storage_blob(its->storage, its->name, digest, &problem);
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        g_autofree char *text = ingot_digest_to_text(attachment), *content = oci_digest_to_text(named);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND,
                    "what %s, which is attached to it, says is not here (%s): GET /v2/%s/blobs/%s from this registry"
                    " brings it from an upstream, or remove the attachment",
                    text, content, its->name, content);
        g_error_free(problem);
    } else if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return blob;
}

/* DENIED: it is no evidence. */
static GBytes *read_content(const Taking *taking, const IngotDigest *attachment, GError **error)
{
    const GateCase *its = taking->its;
    g_autofree char *type = NULL;
    OciDigest named;
    IngotDigest digest;
    g_autoptr(GBytes) manifest = storage_manifest(its->storage, its->name, attachment, &type, error);
    if (manifest == NULL || !reading_afford(taking->reading, g_bytes_get_size(manifest), error) ||
        !find_layer(its, manifest, &named, &digest, error)) {
        return NULL;
    }
    g_autoptr(StorageBlob) blob = find_blob(its, attachment, &named, &digest, error);
    guint64 size = blob == NULL ? 0 : storage_blob_size(blob);
    if (size > EVIDENCE_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED, "it is larger than %u MiB", EVIDENCE_MAX >> 20);
        return NULL;
    }
    if (blob == NULL || !reading_afford(taking->reading, size, error)) {
        return NULL;
    }
    g_autofree char *bytes = g_malloc(size + 1);
    return storage_blob_read_all(blob, 0, bytes, size, error) ? g_bytes_new_take(g_steal_pointer(&bytes), size) : NULL;
}

typedef gboolean (*EvidenceTake)(const Taking *taking, GBytes *content, Evidence *one, GError **error);

/* What is no evidence is refused, and what take fails at. FALSE: it can't be read, or is not here, so that nobody knows
 * whether it says that a test has failed; or the budget is used up. */
static gboolean take_one(const Taking *taking, const IngotDigest *attachment, EvidenceTake take, GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&document_lock);
    Evidence one = {.attachment = *attachment};
    GError *problem = NULL;
    g_autoptr(GBytes) content = read_content(taking, attachment, &problem);
    gboolean counts = content != NULL && take(taking, content, &one, &problem);
    (void)locker;
    if (content == NULL && !g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_DENIED)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    if (!counts) {
        reading_refuse(taking->reading, attachment, problem == NULL ? "it can't be read" : problem->message);
        g_clear_error(&problem);
    }
    return TRUE;
}

/* Gives all attachments of a kind to take. */
static gboolean take_all(const Taking *taking, const char *artifact, EvidenceTake take, GError **error)
{
    const GateCase *its = taking->its;
    if (its->bring != NULL && !its->bring(artifact, its->bring_user, error)) {
        return FALSE;
    }
    if (!storage_check_referrers(its->storage, its->name, &its->digest, error)) {
        return FALSE;
    }
    g_autoptr(GArray) referrers =
        storage_referrers(its->storage, its->name, &its->digest, artifact, NULL, EVIDENCE_MOST + 1, error);
    if (referrers == NULL) {
        return FALSE;
    }
    if (referrers->len > EVIDENCE_MOST) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT, "more than %u of the kind %s are attached to it",
                    EVIDENCE_MOST, artifact);
        return FALSE;
    }
    for (guint i = 0; i < referrers->len; i++) {
        if (!take_one(taking, &g_array_index(referrers, StorageReferrer, i).digest, take, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* --- statements --- */

/* A type that ends in a slash stands for each of its versions, and for itself without one. */
static gboolean is_of_type(const char *given, const char *type)
{
    g_autofree char *versions = g_strconcat(given, "/", NULL);
    return g_str_has_suffix(type, "/") ? g_str_has_prefix(versions, type) : strcmp(given, type) == 0;
}

/* Gives on a statement that counts, if it is of the type that is looked for. */
static gboolean take_statement(const Taking *taking, GBytes *bytes, Evidence *one, GError **error)
{
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);
    g_autoptr(Statement) statement = statement_parse(data, size, error);
    if (statement == NULL) {
        return FALSE;
    }
    if (!statement_is_about(statement, &taking->its->digest)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED, "it is about another image");
        return FALSE;
    }
    if (is_of_type(statement->predicate_type, taking->type)) {
        one->statement = statement;
        taking->func(one, taking->user);
    }
    return TRUE;
}

/* What is in the envelope, whoever has signed it. */
static GBytes *envelope_payload(GBytes *content, GError **error)
{
    g_autoptr(json_t) root = ingot_json_parse_bytes(content, "the bundle", EVIDENCE_VALUES, error);
    const char *text = json_string_value(json_object_get(json_object_get(root, "dsseEnvelope"), "payload"));
    GBytes *payload = text == NULL ? NULL : base64_read(text, STATEMENT_MAX);
    if (root != NULL && payload == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "it holds no statement");
    }
    return payload;
}

static gboolean take_bundle(const Taking *taking, GBytes *content, Evidence *one, GError **error)
{
    if (taking->signers == NULL) {
        g_autoptr(GBytes) payload = envelope_payload(content, error);
        return payload != NULL && take_statement(taking, payload, one, error);
    }
    g_auto(TrustResult) result = {0};
    gsize size;
    const void *data = g_bytes_get_data(content, &size);
    if (!trust_bundle_verify(data, size, taking->signers, &taking->its->digest, &result, error)) {
        return FALSE;
    }
    one->key = result.key;
    one->identity = result.identity;
    if (result.statement != NULL) {
        return take_statement(taking, result.statement, one, error);
    }
    if (is_of_type(TRUST_SIGNED_PREDICATE, taking->type)) {
        taking->func(one, taking->user);
    }
    return TRUE;
}

gboolean evidence_signed(const GateCase *its, const char *type, const TrustSigners *signers, EvidenceReading *reading,
                         EvidenceFunc func, gpointer user, GError **error)
{
    const Taking taking = {its, reading, type, signers, func, user};
    return take_all(&taking, TRUST_BUNDLE_TYPE, take_bundle, error);
}

gboolean evidence_statements(const GateCase *its, const char *type, const GPtrArray *keys, EvidenceReading *reading,
                             EvidenceFunc func, gpointer user, GError **error)
{
    const Taking taking = {its, reading, type, NULL, func, user};
    if (keys != NULL) {
        const TrustSigners signers = {.keys = (TrustKey *const *)keys->pdata, .count = keys->len};
        return evidence_signed(its, type, &signers, reading, func, user, error);
    }
    return take_all(&taking, STATEMENT_TYPE, take_statement, error) &&
           take_all(&taking, TRUST_BUNDLE_TYPE, take_bundle, error);
}

/* --- package lists --- */

static gboolean take_packages(const Taking *taking, GBytes *content, Evidence *one, GError **error)
{
    (void)error;
    one->document = content;
    taking->func(one, taking->user);
    return TRUE;
}

gboolean evidence_packages(const GateCase *its, EvidenceReading *reading, EvidenceFunc func, gpointer user,
                           GError **error)
{
    const Taking taking = {.its = its, .reading = reading, .func = func, .user = user};
    return take_all(&taking, EVIDENCE_SPDX_ARTIFACT, take_packages, error);
}

gint64 evidence_time(const char *text)
{
    g_autoptr(GDateTime) date = text == NULL ? NULL : g_date_time_new_from_iso8601(text, NULL);
    return date == NULL ? 0 : g_date_time_to_unix(date);
}

char *evidence_refusals(const EvidenceReading *reading)
{
    return reading->refused == 0 ? g_strdup("")
                                 : g_strdup_printf("; %u attached here %s not count: %s%s", reading->refused,
                                                   reading->refused == 1 ? "does" : "do", reading->told->str,
                                                   reading->refused > REFUSALS_TOLD ? ", …" : "");
}

char *evidence_sign(const GateCase *its, const char *what)
{
    g_autofree char *image = gate_image(its);
    return g_strdup_printf("sign its %s with one of the gate's keys: `ingot sign %s --key KEY --statement DIGEST`"
                           " (`ingot show --json` has the digest)",
                           what, image);
}
