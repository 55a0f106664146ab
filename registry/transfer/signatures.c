#include "transfer/signatures.h"

#include <ingot/error.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "remote/failure.h"
#include "store/attached.h"
#include "store/blobs.h"
#include "store/lacking.h"
#include "store/reach.h"
#include "transfer/cosign.h"
#include "transfer/place.h"
#include "transfer/send.h"
#include "trust/simplesigning.h"

/* A list in the making, and where it comes from. */
typedef struct {
    ImagePlace place;
    GPtrArray *list;
    gsize bytes;  /* of what the list has */
    guint passed; /* that are not looked at */
    GError *ends; /* after which there is no use in reading on; NULL: none */
} Reading;

static void signature_free(gpointer data)
{
    Signature *signature = data;
    g_free(signature->manifest);
    g_clear_pointer(&signature->bytes, g_bytes_unref);
    g_free(signature->older);
    g_clear_error(&signature->problem);
    g_free(signature);
}

static Reading reading_begin(IngotStore *store, IngotRemote *remote, const char *name)
{
    return (Reading){.place = {store, remote, name}, .list = g_ptr_array_new_with_free_func(signature_free)};
}

/* Takes bytes and problem, one of which is NULL. */
static Signature *reading_add(Reading *reading, const char *manifest, GBytes *bytes, GError *problem, gboolean unread)
{
    Signature *signature = g_new0(Signature, 1);
    signature->manifest = g_strdup(manifest);
    signature->bytes = bytes;
    signature->problem = problem;
    signature->unread = unread;
    reading->bytes += bytes == NULL ? 0 : g_bytes_get_size(bytes);
    g_ptr_array_add(reading->list, signature);
    return signature;
}

/* Whether one more is read; else it is counted. */
static gboolean reading_goes_on(Reading *reading)
{
    gboolean on = reading->ends == NULL && reading->list->len < SIGNATURES_MOST && reading->bytes < SIGNATURES_BYTES;
    reading->passed += on ? 0 : 1;
    return on;
}

/* Whether the signature itself is at fault: with other bytes than a signature has, or without any. What a store lacks
 * is damage of the store. */
static gboolean reading_blames_it(const Reading *reading, const GError *problem)
{
    return g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INVALID) ||
           g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_LIMIT) ||
           (reading->place.store == NULL && g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
}

/* Takes bytes and problem, one of which is NULL. */
static Signature *reading_take(Reading *reading, const char *manifest, GBytes *bytes, GError *problem)
{
    if (reading->ends == NULL && failure_ends_all(problem)) {
        reading->ends = g_error_copy(problem);
    }
    return reading_add(reading, manifest, bytes, problem, problem != NULL && !reading_blames_it(reading, problem));
}

static json_t *reading_manifest(const Reading *reading, const char *digest, GError **error)
{
    IngotDigest parsed;
    if (!ingot_digest_parse(digest, &parsed, error)) {
        return NULL;
    }
    if (reading->place.store != NULL) {
        return reach_read(reading->place.store, &parsed, NULL, error);
    }
    g_autoptr(GBytes) bytes = image_place_manifest(&reading->place, &parsed, error);
    return ingot_json_parse_bytes(bytes, "a signature's manifest", INGOT_MANIFEST_VALUES, error);
}

static GBytes *reading_blob(const Reading *reading, const json_t *layer, gsize most, GError **error)
{
    const char *text = json_string_value(json_object_get(layer, "digest"));
    json_int_t size = json_integer_value(json_object_get(layer, "size"));
    IngotDigest digest;
    if (text == NULL || size < 0 || (guint64)size > most || !ingot_digest_parse(text, &digest, NULL)) {
        g_autofree char *largest = ingot_text_size(most);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "it is not a signature: its manifest names no layer of at most %s", largest);
        return NULL;
    }
    return image_place_blob(&reading->place, &digest, most, error);
}

static void reading_bundle(Reading *reading, const char *digest)
{
    if (!reading_goes_on(reading)) {
        return;
    }
    GError *problem = NULL;
    g_autoptr(json_t) root = reading_manifest(reading, digest, &problem);
    const json_t *layers = json_object_get(root, "layers");
    GBytes *bytes = root == NULL ? NULL : reading_blob(reading, json_array_get(layers, 0), TRUST_BUNDLE_MAX, &problem);
    reading_take(reading, digest, bytes, problem);
}

/* One manifest holds any number of them, each a layer. */
static void reading_older(Reading *reading, const char *digest)
{
    if (!reading_goes_on(reading)) {
        return;
    }
    GError *problem = NULL;
    g_autoptr(json_t) root = reading_manifest(reading, digest, &problem);
    const json_t *layers = json_object_get(root, "layers");
    if (root == NULL) {
        reading_take(reading, digest, NULL, problem);
    }
    for (size_t i = 0; i < json_array_size(layers); i++) {
        const json_t *layer = json_array_get(layers, i);
        const char *type = json_string_value(json_object_get(layer, "mediaType"));
        const char *text =
            json_string_value(json_object_get(json_object_get(layer, "annotations"), SIMPLE_SIGNATURE_KEY));
        if (text != NULL && g_strcmp0(type, SIMPLE_PAYLOAD_TYPE) == 0 && reading_goes_on(reading)) {
            GError *why = NULL;
            GBytes *bytes = reading_blob(reading, layer, SIMPLE_PAYLOAD_MAX, &why);
            reading_take(reading, digest, bytes, why)->older = g_strdup(text);
        }
    }
}

/* The list. NULL: the process is to end. */
static GPtrArray *reading_end(Reading *reading, GError **error)
{
    g_autoptr(GError) ends = reading->ends;
    if (g_error_matches(ends, INGOT_ERROR, INGOT_ERROR_INTERRUPTED)) {
        g_ptr_array_unref(reading->list);
        g_propagate_error(error, g_steal_pointer(&ends));
        return NULL;
    }
    if (reading->passed > 0) {
        GError *why = ends != NULL ? g_error_new(ends->domain, ends->code, "%u more were not looked at: %s",
                                                 reading->passed, ends->message)
                                   : g_error_new(INGOT_ERROR, INGOT_ERROR_LIMIT,
                                                 "%u more were not looked at: at most %u signatures of one image are "
                                                 "read, %u MiB in all",
                                                 reading->passed, SIGNATURES_MOST, SIGNATURES_BYTES >> 20);
        reading_add(reading, NULL, NULL, why, TRUE);
    }
    return reading->list;
}

/* What no pull could have. */
static void reading_left_behind(Reading *reading, const IngotDigest *image)
{
    g_autoptr(json_t) lacking = lacking_load(reading->place.store, image);
    for (size_t i = 0; i < json_array_size(lacking); i++) {
        const json_t *one = json_array_get(lacking, i);
        const char *why = json_string_value(json_object_get(one, "problem"));
        if (json_is_true(json_object_get(one, "signature")) && reading_goes_on(reading)) {
            GError *problem = g_error_new(INGOT_ERROR, INGOT_ERROR_FAILED, "it did not come along with the image: %s",
                                          why == NULL ? "?" : why);
            reading_add(reading, json_string_value(json_object_get(one, "digest")), NULL, problem, TRUE);
        }
    }
}

GPtrArray *signatures_of_store(IngotStore *store, const IngotDigest *image, GError **error)
{
    g_autoptr(GPtrArray) attached = attached_list(store, image, error);
    if (attached == NULL) {
        return NULL;
    }
    g_autofree char *older = cosign_tag(image, ".sig");
    Reading reading = reading_begin(store, NULL, NULL);
    for (guint i = 0; i < attached->len; i++) {
        const Attached *one = g_ptr_array_index(attached, i);
        g_autofree char *digest = ingot_digest_to_text(&one->manifest.digest);
        if (g_strcmp0(one->tag, older) == 0) {
            reading_older(&reading, digest);
        } else if (one->tag == NULL && g_strcmp0(one->type, TRUST_BUNDLE_TYPE) == 0) {
            reading_bundle(&reading, digest);
        }
    }
    reading_left_behind(&reading, image);
    return reading_end(&reading, error);
}

GPtrArray *signatures_of_registry(IngotRemote *remote, const char *name, const IngotDigest *image, GError **error)
{
    g_autofree char *tag = cosign_tag(image, ".sig"), *older = NULL;
    g_autoptr(json_t) referrers = ingot_remote_referrers(remote, name, image, error);
    if (referrers == NULL || !cosign_look(remote, name, tag, &older, error)) {
        return NULL;
    }
    Reading reading = reading_begin(NULL, remote, name);
    for (size_t i = 0; i < json_array_size(referrers); i++) {
        const json_t *row = json_array_get(referrers, i);
        const char *digest = json_string_value(json_object_get(row, "digest"));
        const char *type = json_string_value(json_object_get(row, "artifactType"));
        if (digest != NULL && g_strcmp0(type, TRUST_BUNDLE_TYPE) == 0) {
            reading_bundle(&reading, digest);
        }
    }
    if (older != NULL) {
        reading_older(&reading, older);
    }
    return reading_end(&reading, error);
}

const GError *signatures_unread(const GPtrArray *signatures)
{
    for (guint i = 0; i < signatures->len; i++) {
        const Signature *signature = g_ptr_array_index(signatures, i);
        if (signature->unread) {
            return signature->problem;
        }
    }
    return NULL;
}

/* --- what counts --- */

gboolean signature_counts(const Signature *signature, const TrustSigners *signers, const IngotDigest *image,
                          const char *type, TrustResult *result, GError **error)
{
    const char *wanted = type == NULL ? TRUST_SIGNED_PREDICATE : type;
    if (signature->bytes == NULL) {
        memset(result, 0, sizeof *result);
        g_propagate_error(error, g_error_copy(signature->problem));
        return FALSE;
    }
    gsize size;
    const void *bytes = g_bytes_get_data(signature->bytes, &size);
    if (!(signature->older == NULL ? trust_bundle_verify(bytes, size, signers, image, result, error)
                                   : simple_verify(signature->bytes, signature->older, signers->keys, signers->count,
                                                   image, result, error))) {
        return FALSE;
    }
    const char *says = result->statement == NULL ? TRUST_SIGNED_PREDICATE : result->predicate_type;
    if (strcmp(says, wanted) != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED, "it is signed, but says something else of the image: %s",
                    says);
        trust_result_clear(result);
        return FALSE;
    }
    return TRUE;
}

/* --- what is added --- */

void new_signature_init(NewSignature *signature, const IngotDescriptor *image, char *bundle, const char *type)
{
    IngotDescriptor blob = {.size = strlen(bundle)};
    ingot_digest_of(bundle, blob.size, &blob.digest);
    g_autofree char *plain = ingot_attachment_to_text(image, TRUST_BUNDLE_TYPE, TRUST_BUNDLE_TYPE, &blob);
    g_autoptr(json_t) root = json_loads(plain, 0, NULL);
    json_object_set_new(root, "annotations", trust_bundle_annotations(type));
    *signature = (NewSignature){.image = *image, .bundle = bundle, .manifest = ingot_json_canonical(root)};
    ingot_digest_of(signature->manifest, strlen(signature->manifest), &signature->digest);
}

void new_signature_clear(NewSignature *signature)
{
    g_clear_pointer(&signature->bundle, g_free);
    g_clear_pointer(&signature->manifest, g_free);
}

/* The bundle, the empty config and the manifest, whose holds are the caller's. */
static gboolean signature_put(IngotStore *store, const NewSignature *signature, IngotDescriptor parts[3],
                              GError **error)
{
    return ingot_store_put(store, signature->bundle, strlen(signature->bundle), &parts[0], error) &&
           ingot_store_put(store, "{}", 2, &parts[1], error) &&
           ingot_store_put(store, signature->manifest, strlen(signature->manifest), &parts[2], error);
}

gboolean signature_put_store(IngotStore *store, const NewSignature *signature, GError **error)
{
    IngotDescriptor parts[3];
    if (!signature_put(store, signature, parts, error) ||
        !attached_add(store, &signature->image.digest, NULL, &parts[2], error)) {
        return FALSE;
    }
    for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
        ingot_store_let_go(store, &parts[i].digest);
    }
    return TRUE;
}

/* Blobs are sent from files: those of a store that is gone afterwards. */
gboolean signature_put_registry(IngotRemote *remote, const char *name, const NewSignature *signature, GError **error)
{
    IngotDescriptor parts[3];
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(error);
    g_autofree char *path = workdir == NULL ? NULL : ingot_workdir_file(workdir, "store");
    g_autoptr(IngotStore) store = path == NULL ? NULL : ingot_store_open(path, error);
    if (store == NULL || !signature_put(store, signature, parts, error) ||
        !send_blob(store, remote, name, &parts[0], NULL, error) ||
        !send_blob(store, remote, name, &parts[1], NULL, error)) {
        return FALSE;
    }
    g_autoptr(json_t) root = json_loads(signature->manifest, 0, NULL);
    g_autofree char *digest = ingot_digest_to_text(&signature->digest);
    g_autoptr(json_t) listed = ingot_json_pack("{s:s, s:s, s:I, s:s, s:O}", "mediaType", INGOT_TYPE_MANIFEST, "digest",
                                               digest, "size", (json_int_t)parts[2].size, "artifactType",
                                               TRUST_BUNDLE_TYPE, "annotations", json_object_get(root, "annotations"));
    return ingot_remote_attach(remote, name, &signature->image.digest, listed, signature->manifest,
                               strlen(signature->manifest), error);
}
