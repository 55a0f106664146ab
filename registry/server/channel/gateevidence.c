#include "server/channel/gateevidence.h"

#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "trust/base64.h"
#include "trust/bundle.h"

#define EVIDENCE_MAX (16u << 20)   /* bytes of one */
#define EVIDENCE_VALUES (1u << 20) /* of its JSON */
#define EVIDENCE_MOST 500u         /* of one kind at one image */
#define EVIDENCE_SPDX_ARTIFACT "application/spdx+json"
#define REFUSALS_TOLD 3u

static void evidence_free(gpointer data)
{
    Evidence *one = data;
    statement_free(one->statement);
    g_clear_pointer(&one->document, g_bytes_unref);
    g_free(one);
}

void evidence_list_clear(EvidenceList *list)
{
    g_clear_pointer(&list->found, g_ptr_array_unref);
    g_clear_pointer(&list->refused, g_ptr_array_unref);
}

static void list_begin(EvidenceList *list)
{
    list->found = list->found == NULL ? g_ptr_array_new_with_free_func(evidence_free) : list->found;
    list->refused = list->refused == NULL ? g_ptr_array_new_with_free_func(g_free) : list->refused;
}

static void list_refuse(EvidenceList *list, const IngotDigest *digest, const char *why)
{
    g_autofree char *text = ingot_digest_to_text(digest);
    g_ptr_array_add(list->refused, g_strdup_printf("%.19s (%s)", text, why));
}

/* Takes the statement over. */
static void list_add(EvidenceList *list, Statement *statement, GBytes *document, guint key)
{
    Evidence *one = g_new0(Evidence, 1);
    *one = (Evidence){.statement = statement, .document = document == NULL ? NULL : g_bytes_ref(document), .key = key};
    g_ptr_array_add(list->found, one);
}

/* The bytes of the one blob that an attachment is about. */
static GBytes *read_content(const GateCase *its, const IngotDigest *attachment, GError **error)
{
    g_autofree char *type = NULL;
    IngotDigest digest;
    g_autoptr(GBytes) manifest = storage_manifest(its->storage, its->name, attachment, &type, error);
    g_autoptr(json_t) root = ingot_json_parse_bytes(manifest, "the attachment", EVIDENCE_VALUES, error);
    const json_t *layer = json_array_get(json_object_get(root, "layers"), 0);
    const char *text = json_string_value(json_object_get(layer, "digest"));
    if (root == NULL) {
        return NULL;
    }
    if (text == NULL || !storage_digest(its->storage, text, &digest, NULL)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "it has no layer");
        return NULL;
    }
    g_autoptr(StorageBlob) blob = storage_blob(its->storage, its->name, &digest, error);
    guint64 size = blob == NULL ? 0 : storage_blob_size(blob);
    if (blob != NULL && size > EVIDENCE_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT, "it is larger than 16 MiB");
    }
    if (blob == NULL || size > EVIDENCE_MAX) {
        return NULL;
    }
    g_autofree char *bytes = g_malloc(size + 1);
    return storage_blob_read_all(blob, 0, bytes, size, error) ? g_bytes_new_take(g_steal_pointer(&bytes), size) : NULL;
}

typedef gboolean (*EvidenceTake)(const GateCase *its, GBytes *content, gpointer user, GError **error);
/* Gives the contents of all attachments of a kind to take; what it fails at is refused. */
static gboolean each_content(const GateCase *its, const char *artifact, EvidenceTake take, gpointer user,
                             EvidenceList *list, GError **error)
{
    g_autoptr(GArray) referrers =
        storage_referrers(its->storage, its->name, &its->digest, artifact, NULL, EVIDENCE_MOST + 1, error);
    list_begin(list);
    if (referrers == NULL) {
        return FALSE;
    }
    if (referrers->len > EVIDENCE_MOST) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT, "more than %u attachments of the kind %s", EVIDENCE_MOST,
                    artifact);
        return FALSE;
    }
    for (guint i = 0; i < referrers->len; i++) {
        const IngotDigest *digest = &g_array_index(referrers, StorageReferrer, i).digest;
        g_autoptr(GError) problem = NULL;
        g_autoptr(GBytes) content = read_content(its, digest, &problem);
        if (content == NULL || !take(its, content, user, &problem)) {
            list_refuse(list, digest, problem == NULL ? "it can't be read" : problem->message);
        }
    }
    return TRUE;
}

/* --- statements --- */

typedef struct {
    const char *type;
    const GPtrArray *keys;
    EvidenceList *list;
} Taking;

/* A statement that counts, if it is of the type that is looked for. */
static gboolean take_statement(const GateCase *its, GBytes *bytes, const Taking *taking, guint key, GError **error)
{
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);
    g_autoptr(Statement) statement = statement_parse(data, size, error);
    if (statement == NULL) {
        return FALSE;
    }
    if (!statement_is_about(statement, &its->digest)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED, "it is about another image");
        return FALSE;
    }
    if (g_str_has_prefix(statement->predicate_type, taking->type)) {
        list_add(taking->list, g_steal_pointer(&statement), NULL, key);
    }
    return TRUE;
}

static gboolean take_plain(const GateCase *its, GBytes *content, gpointer user, GError **error)
{
    return take_statement(its, content, user, 0, error);
}

/* What is in the envelope, whoever has signed it. */
static GBytes *envelope_payload(GBytes *content, GError **error)
{
    g_autoptr(json_t) root = ingot_json_parse_bytes(content, "the bundle", EVIDENCE_VALUES, error);
    const char *text = json_string_value(json_object_get(json_object_get(root, "dsseEnvelope"), "payload"));
    GBytes *payload = text == NULL ? NULL : base64_read(text, EVIDENCE_MAX);
    if (root != NULL && payload == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "it holds no statement");
    }
    return payload;
}

static gboolean take_bundle(const GateCase *its, GBytes *content, gpointer user, GError **error)
{
    const Taking *taking = user;
    if (taking->keys == NULL) {
        g_autoptr(GBytes) payload = envelope_payload(content, error);
        return payload != NULL && take_statement(its, payload, taking, 0, error);
    }
    g_auto(TrustResult) result = {0};
    gsize size;
    const void *data = g_bytes_get_data(content, &size);
    if (!trust_bundle_verify(data, size, (TrustKey *const *)taking->keys->pdata, taking->keys->len, &its->digest,
                             &result, error)) {
        return FALSE;
    }
    if (result.statement != NULL) {
        return take_statement(its, result.statement, taking, result.key, error);
    }
    if (g_str_has_prefix(TRUST_SIGNED_PREDICATE, taking->type)) {
        list_add(taking->list, NULL, NULL, result.key);
    }
    return TRUE;
}

gboolean evidence_statements(const GateCase *its, const char *type, const GPtrArray *keys, EvidenceList *list,
                             GError **error)
{
    Taking taking = {.type = type, .keys = keys, .list = list};
    return (keys != NULL || each_content(its, STATEMENT_TYPE, take_plain, &taking, list, error)) &&
           each_content(its, TRUST_BUNDLE_TYPE, take_bundle, &taking, list, error);
}

/* --- package lists --- */

static gboolean take_packages(const GateCase *its, GBytes *content, gpointer user, GError **error)
{
    (void)its;
    (void)error;
    list_add(user, NULL, content, 0);
    return TRUE;
}

gboolean evidence_packages(const GateCase *its, EvidenceList *list, GError **error)
{
    return each_content(its, EVIDENCE_SPDX_ARTIFACT, take_packages, list, list, error);
}

gint64 evidence_time(const char *text)
{
    g_autoptr(GDateTime) date = text == NULL ? NULL : g_date_time_new_from_iso8601(text, NULL);
    return date == NULL ? 0 : g_date_time_to_unix(date);
}

char *evidence_refusals(const EvidenceList *list)
{
    if (list->refused == NULL || list->refused->len == 0) {
        return g_strdup("");
    }
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < MIN(list->refused->len, REFUSALS_TOLD); i++) {
        g_string_append_printf(text, "%s%s", i == 0 ? "" : ", ", (const char *)g_ptr_array_index(list->refused, i));
    }
    return g_strdup_printf("; %u attached here do not count: %s%s", list->refused->len, text->str,
                           list->refused->len > REFUSALS_TOLD ? ", …" : "");
}
