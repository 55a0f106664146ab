#include <ingot/error.h>
#include <ingot/manifest.h>
#include <string.h>

#include "base/json.h"
#include "remote/failure.h"
#include "store/attached.h"
#include "store/blobs.h"
#include "store/lacking.h"
#include "store/reach.h"
#include "transfer/attachments.h"
#include "transfer/cosign.h"
#include "transfer/fetch.h"
#include "transfer/signatures.h"
#include "trust/bundle.h"

#define LEVELS 2u           /* what is attached, and what is attached to that */
#define INDEX_LEVELS 4u     /* of indexes within an index */
#define MANIFESTS_MOST 256u /* in all, without signatures */
#define BUNDLES_MOST SIGNATURES_MOST
#define BLOBS_MOST 256u /* of one */
#define BLOB_MAX (64u << 20)
#define TOTAL_MAX (256u << 20)                                        /* bytes of all blobs */
#define LACKING_MOST 256u                                             /* that are noted */
#define ARTIFACT_TYPE "application/vnd.oci.artifact.manifest.v1+json" /* of older tools; it may have no blobs */
#define PATIENCE 10 /* seconds, with a registry that has no time for what is attached */

typedef struct {
    IngotStore *store;
    IngotRemote *remote;
    const char *name;
    GHashTable *image; /* digests of its manifest and of all that it names */
    guint64 *received;
    guint manifests;  /* so far */
    guint bundles;    /* so far */
    guint64 bytes;    /* so far */
    gboolean bundle;  /* what is being pulled is listed as a signature */
    json_t *lacking;  /* what could not be had (store/lacking.h) */
    GError *problem;  /* the first one; one after which there is no use in asking for more */
    GHashTable *held; /* digests of what is fetched of one attachment */
} Pull;

/* digest NULL: of a list. signature: it is one of the image, or may be. Takes error. */
static void pull_lacks(Pull *pull, const char *digest, gboolean signature, GError *error)
{
    if (json_array_size(pull->lacking) < LACKING_MOST) {
        json_array_append_new(pull->lacking, ingot_json_pack("{s:s*, s:s, s:b}", "digest", digest, "problem",
                                                             error->message, "signature", signature));
    }
    ingot_remote_limit(pull->remote, 0, 0, 0); /* it has been waited for */
    if (pull->problem == NULL || (failure_ends_all(error) && !failure_ends_all(pull->problem))) {
        g_clear_error(&pull->problem);
        pull->problem = error;
    } else {
        g_error_free(error);
    }
}

/* --- one attachment --- */

static gboolean refuse(GError **error, const char *digest, const char *why)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT, "%s: %s", digest, why);
    return FALSE;
}

static gboolean pull_blob(Pull *pull, const json_t *descriptor, const char *digest, GError **error)
{
    IngotDescriptor blob;
    const char *text = json_string_value(json_object_get(descriptor, "digest"));
    if (text == NULL) {
        return refuse(error, digest, "one of its parts has no digest");
    }
    if (!ingot_digest_parse(text, &blob.digest, error) ||
        !ingot_json_get_size(descriptor, "size", digest, &blob.size, error)) {
        return FALSE;
    }
    if (pull->bundle && blob.size > TRUST_BUNDLE_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: it is larger than a signature may be", digest);
        return FALSE;
    }
    if (g_hash_table_contains(pull->held, text)) {
        return TRUE;
    }
    if (g_hash_table_size(pull->held) >= BLOBS_MOST) {
        return refuse(error, digest, "it has more parts than are taken of an attachment");
    }
    if (blob.size > TOTAL_MAX - MIN(pull->bytes, TOTAL_MAX)) {
        return refuse(error, digest, "with it, more would be attached than is taken of an image");
    }
    g_autoptr(GBytes) bytes = fetch_blob(pull->store, pull->remote, pull->name, &blob, BLOB_MAX, pull->received, error);
    g_hash_table_add(pull->held, g_strdup(text));
    pull->bytes += bytes == NULL ? 0 : blob.size;
    return bytes != NULL;
}

static gboolean is_image(const Pull *pull, const json_t *root, const char *digest)
{
    return g_hash_table_contains(pull->image, digest) ||
           g_strcmp0(json_string_value(json_object_get(root, "artifactType")), INGOT_TYPE_IMAGE) == 0;
}

/* An image is not taken for an attachment: one that is attached to itself would be gone into for ever. */
static json_t *pull_manifest(Pull *pull, const char *digest, IngotDescriptor *out, GError **error)
{
    guint *count = pull->bundle ? &pull->bundles : &pull->manifests;
    if (*count >= (pull->bundle ? BUNDLES_MOST : MANIFESTS_MOST)) {
        refuse(error, digest, "more is attached than is taken of an image");
        return NULL;
    }
    ++*count;
    g_autoptr(GBytes) bytes = fetch_manifest(pull->store, pull->remote, pull->name, digest, out, pull->received, error);
    if (bytes != NULL) {
        g_hash_table_add(pull->held, ingot_digest_to_text(&out->digest));
    }
    g_autoptr(json_t) root = ingot_json_parse_bytes(bytes, digest, INGOT_MANIFEST_VALUES, error);
    if (root != NULL && is_image(pull, root, digest)) {
        refuse(error, digest, "it is an image, not something that is attached to one");
        return NULL;
    }
    return g_steal_pointer(&root);
}

static gboolean pull_blobs(Pull *pull, const json_t *list, const char *digest, GError **error)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!pull_blob(pull, json_array_get(list, i), digest, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* Without that, it would pass for whole, though its content was left where it is. */
static gboolean is_understood(const json_t *root)
{
    return json_is_object(json_object_get(root, "config")) || json_is_array(json_object_get(root, "layers")) ||
           json_is_array(json_object_get(root, "blobs")) || json_is_array(json_object_get(root, "manifests")) ||
           g_strcmp0(json_string_value(json_object_get(root, "mediaType")), ARTIFACT_TYPE) == 0;
}

/* All that a manifest names: its config and layers, an artifact's blobs, or the manifests of an index with what those
 * name. */
static gboolean pull_parts(Pull *pull, const json_t *root, const char *digest, guint level, GError **error)
{
    const json_t *config = json_object_get(root, "config"), *children = json_object_get(root, "manifests");
    if (!is_understood(root)) {
        return refuse(error, digest, "it does not say what it consists of in a way that is known here");
    }
    if ((config != NULL && !pull_blob(pull, config, digest, error)) ||
        !pull_blobs(pull, json_object_get(root, "layers"), digest, error) ||
        !pull_blobs(pull, json_object_get(root, "blobs"), digest, error)) {
        return FALSE;
    }
    if (json_array_size(children) > 0 && level == INDEX_LEVELS) {
        return refuse(error, digest, "an index of indexes of indexes");
    }
    for (size_t i = 0; i < json_array_size(children); i++) {
        IngotDescriptor own;
        const char *child = json_string_value(json_object_get(json_array_get(children, i), "digest"));
        g_autoptr(json_t) below = child == NULL ? NULL : pull_manifest(pull, child, &own, error);
        if (below == NULL || !pull_parts(pull, below, child, level + 1, error)) {
            return child != NULL ? FALSE : refuse(error, digest, "one of its manifests has no digest");
        }
    }
    return TRUE;
}

/* A list of old may have what is attached to something else, which pushed on would stay so. The registry may know the
 * subject by another algorithm's digest. */
static gboolean check_subject(const json_t *root, const IngotDigest *subject, const char *digest, GError **error)
{
    const char *text = json_string_value(json_object_get(json_object_get(root, "subject"), "digest"));
    IngotDigest found;
    return text != NULL && (!ingot_digest_parse(text, &found, NULL) || ingot_digest_equal(&found, subject))
               ? TRUE
               : refuse(error, digest, "it is listed as attached, but says that it is not");
}

/* What the image's own pull counts on stays held: the image has no name yet. */
static void let_go(Pull *pull)
{
    GHashTableIter iter;
    gpointer text;
    g_hash_table_iter_init(&iter, pull->held);
    while (g_hash_table_iter_next(&iter, &text, NULL)) {
        IngotDigest digest;
        if (!g_hash_table_contains(pull->image, text) && ingot_digest_parse(text, &digest, NULL)) {
            ingot_store_let_go(pull->store, &digest);
        }
    }
    g_hash_table_remove_all(pull->held);
}

/* tag: beside the image's, or NULL. */
static gboolean pull_one(Pull *pull, const IngotDigest *subject, const char *digest, const char *tag,
                         IngotDescriptor *own, GError **error)
{
    g_autoptr(json_t) root = pull_manifest(pull, digest, own, error);
    gboolean ok = root != NULL && attached_check(root, digest, error) &&
                  (tag != NULL || check_subject(root, subject, digest, error)) &&
                  pull_parts(pull, root, digest, 0, error) && attached_add(pull->store, subject, tag, own, error);
    let_go(pull);
    return ok;
}

/* --- all --- */

static void pull_level(Pull *pull, const IngotDigest *subject, guint level);

static gboolean is_bundle(const json_t *listed)
{
    return g_strcmp0(json_string_value(json_object_get(listed, "artifactType")), TRUST_BUNDLE_TYPE) == 0;
}

/* Signatures first: nothing else takes their place within the bounds. What is too large for one comes with the others.
 */
static json_t *pull_order(const json_t *listed)
{
    json_t *ordered = json_array();
    for (guint round = 0; round < 2; round++) {
        for (size_t i = 0; i < json_array_size(listed); i++) {
            json_t *one = json_array_get(listed, i);
            if (is_bundle(one) == (round == 0) && json_is_string(json_object_get(one, "digest"))) {
                json_array_append(ordered, one);
            }
        }
    }
    return ordered;
}

/* FALSE: it comes later. */
static gboolean pull_listed(Pull *pull, const IngotDigest *subject, const json_t *listed, guint level)
{
    const char *digest = json_string_value(json_object_get(listed, "digest"));
    IngotDescriptor own;
    GError *error = NULL;
    pull->bundle = is_bundle(listed);
    gboolean signature = level == 1 && pull->bundle;
    if (failure_ends_all(pull->problem)) {
        pull_lacks(pull, digest, signature, g_error_copy(pull->problem));
    } else if (pull_one(pull, subject, digest, NULL, &own, &error)) {
        pull_level(pull, &own.digest, level + 1);
    } else if (pull->bundle && g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID)) {
        g_error_free(error);
        return FALSE;
    } else {
        pull_lacks(pull, digest, signature && !g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND), error);
    }
    return TRUE;
}

static void pull_level(Pull *pull, const IngotDigest *subject, guint level)
{
    GError *problem = NULL;
    if (level > LEVELS) {
        return;
    }
    g_autoptr(json_t) listed = ingot_remote_some_referrers(pull->remote, pull->name, subject, &problem);
    g_autoptr(json_t) all = pull_order(listed);
    if (problem != NULL) {
        pull_lacks(pull, NULL, level == 1, problem);
    }
    for (size_t i = 0; i < json_array_size(all) && json_array_size(pull->lacking) < LACKING_MOST; i++) {
        const json_t *one = json_array_get(all, i);
        if (!pull_listed(pull, subject, one, level)) {
            json_array_append_new(all, ingot_json_pack("{s:O}", "digest", json_object_get(one, "digest")));
        }
    }
}

/* What cosign has put beside the image's tags. Mostly there is nothing: that is not waited for, nor asked again of a
 * registry that can't tell, such as a cache whose upstream does not answer. */
static void pull_cosign(Pull *pull, const IngotDigest *image)
{
    GError *error = NULL;
    ingot_remote_limit(pull->remote, 0, 0, 0);
    pull->bundle = FALSE;
    if (failure_ends_all(pull->problem)) {
        pull_lacks(pull, NULL, TRUE, g_error_copy(pull->problem));
    }
    for (guint i = 0; cosign_endings[i] != NULL && error == NULL && !failure_ends_all(pull->problem); i++) {
        g_autofree char *tag = cosign_tag(image, cosign_endings[i]), *digest = NULL;
        IngotDescriptor own;
        GError *problem = NULL;
        gboolean signature = strcmp(cosign_endings[i], ".sig") == 0;
        if (!cosign_look(pull->remote, pull->name, tag, &digest, &error)) {
            pull_lacks(pull, NULL, signature, g_error_copy(error));
        } else if (digest != NULL && !pull_one(pull, image, digest, tag, &own, &problem)) {
            pull_lacks(pull, digest, signature && !g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND),
                       problem);
        }
    }
    g_clear_error(&error);
}

gboolean attachments_pull(IngotStore *store, IngotRemote *remote, const char *name, const IngotDescriptor *image,
                          IngotProgress *progress, guint64 *received, GError **error)
{
    g_autoptr(json_t) lacking = json_array();
    g_autoptr(GHashTable) held = reach_new(), own = reach_new();
    Pull pull = {.store = store,
                 .remote = remote,
                 .name = name,
                 .image = own,
                 .received = received,
                 .lacking = lacking,
                 .held = held};
    if (!reach_add(store, &image->digest, own, error)) {
        return FALSE;
    }
    ingot_remote_limit(remote, 0, 0, PATIENCE);
    pull_level(&pull, &image->digest, 1);
    pull_cosign(&pull, &image->digest);
    g_autoptr(GError) problem = pull.problem;
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INTERRUPTED)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    lacking_keep(store, &image->digest, lacking);
    if (problem != NULL) {
        ingot_progress_warning(progress, "not all that is attached came along: %s", problem->message);
    }
    return TRUE;
}
