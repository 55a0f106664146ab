#include "transfer/signatures.h"

#include <ingot/error.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "store/attached.h"
#include "store/blobs.h"
#include "store/reach.h"
#include "transfer/cosign.h"
#include "transfer/send.h"
#include "trust/simplesigning.h"

/* Where a list of signatures comes from. */
typedef struct {
    IngotStore *store;   /* NULL: the registry's */
    IngotRemote *remote; /* NULL: the store's */
    const char *name;    /* in the registry */
} Place;

static void signature_free(gpointer data)
{
    Signature *signature = data;
    g_free(signature->manifest);
    g_clear_pointer(&signature->bytes, g_bytes_unref);
    g_free(signature->older);
    g_free(signature->problem);
    g_free(signature);
}

/* Takes problem, which may be NULL. */
static Signature *signature_add(GPtrArray *list, const char *manifest, GError *problem)
{
    Signature *signature = g_new0(Signature, 1);
    signature->manifest = g_strdup(manifest);
    if (problem != NULL) {
        signature->problem = g_strdup(problem->message);
        g_error_free(problem);
    }
    g_ptr_array_add(list, signature);
    return signature;
}

static json_t *place_manifest(const Place *place, const char *digest, GError **error)
{
    IngotDigest parsed;
    if (place->store != NULL) {
        return ingot_digest_parse(digest, &parsed, error) ? reach_read(place->store, &parsed, NULL, error) : NULL;
    }
    IngotDescriptor own;
    g_autoptr(GBytes) bytes = ingot_remote_get_manifest(place->remote, place->name, digest, &own, NULL, error);
    return ingot_json_parse_bytes(bytes, "a signature's manifest", INGOT_MANIFEST_VALUES, error);
}

static GBytes *place_blob(const Place *place, const json_t *layer, gsize most, GError **error)
{
    const char *text = ingot_json_get_string(layer, "digest", "a signature's layer", error);
    IngotDigest digest;
    return text == NULL || !ingot_digest_parse(text, &digest, error) ? NULL
           : place->store != NULL ? ingot_store_read(place->store, &digest, most, error)
                                  : ingot_remote_get_blob(place->remote, place->name, &digest, most, error);
}

static void place_read_bundle(const Place *place, const char *digest, GPtrArray *list)
{
    GError *problem = NULL;
    g_autoptr(json_t) root = place_manifest(place, digest, &problem);
    const json_t *layers = json_object_get(root, "layers");
    g_autoptr(GBytes) bytes =
        root == NULL ? NULL : place_blob(place, json_array_get(layers, 0), TRUST_BUNDLE_MAX, &problem);
    signature_add(list, digest, problem)->bytes = g_steal_pointer(&bytes);
}

/* One manifest holds any number of them, each a layer. */
static void place_read_older(const Place *place, const char *digest, GPtrArray *list)
{
    GError *problem = NULL;
    g_autoptr(json_t) root = place_manifest(place, digest, &problem);
    const json_t *layers = json_object_get(root, "layers");
    if (root == NULL) {
        signature_add(list, digest, problem);
    }
    for (size_t i = 0; i < json_array_size(layers) && list->len < SIGNATURES_MOST; i++) {
        const json_t *layer = json_array_get(layers, i);
        const char *type = json_string_value(json_object_get(layer, "mediaType"));
        const char *text =
            json_string_value(json_object_get(json_object_get(layer, "annotations"), SIMPLE_SIGNATURE_KEY));
        GError *why = NULL;
        if (text != NULL && g_strcmp0(type, SIMPLE_PAYLOAD_TYPE) == 0) {
            g_autoptr(GBytes) bytes = place_blob(place, layer, SIMPLE_PAYLOAD_MAX, &why);
            Signature *signature = signature_add(list, digest, why);
            signature->bytes = g_steal_pointer(&bytes);
            signature->older = g_strdup(text);
        }
    }
}

GPtrArray *signatures_of_store(IngotStore *store, const IngotDigest *image, GError **error)
{
    const Place place = {.store = store};
    g_autoptr(GPtrArray) attached = attached_list(store, image, error);
    if (attached == NULL) {
        return NULL;
    }
    g_autofree char *older = cosign_tag(image, ".sig");
    GPtrArray *list = g_ptr_array_new_with_free_func(signature_free);
    for (guint i = 0; i < attached->len && list->len < SIGNATURES_MOST; i++) {
        const Attached *one = g_ptr_array_index(attached, i);
        g_autofree char *digest = ingot_digest_to_text(&one->manifest.digest);
        if (g_strcmp0(one->tag, older) == 0) {
            place_read_older(&place, digest, list);
        } else if (one->tag == NULL && g_strcmp0(one->type, TRUST_BUNDLE_TYPE) == 0) {
            place_read_bundle(&place, digest, list);
        }
    }
    return list;
}

GPtrArray *signatures_of_registry(IngotRemote *remote, const char *name, const IngotDigest *image, GError **error)
{
    const Place place = {.remote = remote, .name = name};
    g_autofree char *tag = cosign_tag(image, ".sig"), *older = NULL;
    g_autoptr(json_t) referrers = ingot_remote_referrers(remote, name, image, error);
    if (referrers == NULL || !cosign_find(remote, name, tag, &older, error)) {
        return NULL;
    }
    GPtrArray *list = g_ptr_array_new_with_free_func(signature_free);
    for (size_t i = 0; i < json_array_size(referrers) && list->len < SIGNATURES_MOST; i++) {
        const json_t *row = json_array_get(referrers, i);
        const char *digest = json_string_value(json_object_get(row, "digest"));
        const char *type = json_string_value(json_object_get(row, "artifactType"));
        if (digest != NULL && g_strcmp0(type, TRUST_BUNDLE_TYPE) == 0) {
            place_read_bundle(&place, digest, list);
        }
    }
    if (older != NULL) {
        place_read_older(&place, older, list);
    }
    return list;
}

/* --- what counts --- */

gboolean signature_counts(const Signature *signature, TrustKey *const *keys, guint count, const IngotDigest *image,
                          const char *type, TrustResult *result, GError **error)
{
    const char *wanted = type == NULL ? TRUST_SIGNED_PREDICATE : type;
    if (signature->bytes == NULL) {
        memset(result, 0, sizeof *result);
        g_set_error_literal(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, signature->problem);
        return FALSE;
    }
    gsize size;
    const void *bytes = g_bytes_get_data(signature->bytes, &size);
    if (!(signature->older == NULL
              ? trust_bundle_verify(bytes, size, keys, count, image, result, error)
              : simple_verify(signature->bytes, signature->older, keys, count, image, result, error))) {
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

/* Free it. */
static char *signature_manifest(const IngotDescriptor *image, const IngotDescriptor *bundle, const char *type)
{
    g_autofree char *plain = ingot_attachment_to_text(image, TRUST_BUNDLE_TYPE, TRUST_BUNDLE_TYPE, bundle);
    g_autoptr(json_t) root = json_loads(plain, 0, NULL);
    json_object_set_new(root, "annotations", trust_bundle_annotations(type));
    return ingot_json_canonical(root);
}

/* The bundle's manifest, put into the store with all that it names. Its holds are the caller's (signature_let_go). */
static gboolean signature_put(IngotStore *store, const IngotDescriptor *image, const char *bundle, const char *type,
                              IngotDescriptor parts[3], char **text, GError **error)
{
    if (!ingot_store_put(store, bundle, strlen(bundle), &parts[0], error) ||
        !ingot_store_put(store, "{}", 2, &parts[1], error)) {
        return FALSE;
    }
    *text = signature_manifest(image, &parts[0], type);
    return ingot_store_put(store, *text, strlen(*text), &parts[2], error);
}

gboolean signature_put_store(IngotStore *store, const IngotDescriptor *image, const char *bundle, const char *type,
                             IngotDigest *manifest, GError **error)
{
    IngotDescriptor parts[3];
    g_autofree char *text = NULL;
    if (!signature_put(store, image, bundle, type, parts, &text, error) ||
        !attached_add(store, &image->digest, NULL, &parts[2], error)) {
        return FALSE;
    }
    for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
        ingot_store_let_go(store, &parts[i].digest);
    }
    *manifest = parts[2].digest;
    return TRUE;
}

/* Blobs are sent from files: those of a store that is gone afterwards. */
gboolean signature_put_registry(IngotRemote *remote, const char *name, const IngotDescriptor *image, const char *bundle,
                                const char *type, IngotDigest *manifest, GError **error)
{
    IngotDescriptor parts[3];
    g_autofree char *text = NULL;
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(error);
    g_autofree char *path = workdir == NULL ? NULL : ingot_workdir_file(workdir, "store");
    g_autoptr(IngotStore) store = path == NULL ? NULL : ingot_store_open(path, error);
    if (store == NULL || !signature_put(store, image, bundle, type, parts, &text, error) ||
        !send_blob(store, remote, name, &parts[0], NULL, error) ||
        !send_blob(store, remote, name, &parts[1], NULL, error)) {
        return FALSE;
    }
    g_autoptr(json_t) root = json_loads(text, 0, NULL);
    g_autofree char *digest = ingot_digest_to_text(&parts[2].digest);
    g_autoptr(json_t) listed = ingot_json_pack("{s:s, s:s, s:I, s:s, s:O}", "mediaType", INGOT_TYPE_MANIFEST, "digest",
                                               digest, "size", (json_int_t)parts[2].size, "artifactType",
                                               TRUST_BUNDLE_TYPE, "annotations", json_object_get(root, "annotations"));
    *manifest = parts[2].digest;
    return ingot_remote_attach(remote, name, &image->digest, listed, text, strlen(text), error);
}
