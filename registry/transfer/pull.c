#include "base/text.h"
#include <ingot/error.h>
#include <ingot/remote.h>
#include <ingot/store.h>
#include <ingot/transfer.h>
#include <string.h>

#include "base/json.h"
#include "store/blobs.h"
#include "store/meant.h"
#include "transfer/assemble.h"
#include "transfer/policy.h"
#include "transfer/pull.h"

#define CONFIG_MAX (16u << 20) /* bytes */
#define ATTACHMENT_MAX (64u << 20)
#define ANSWER_LEAST 65536u  /* bytes: an error may be longer than the blob */
#define ATTACHED_PATIENCE 10 /* seconds, with a registry that has no time for what is attached */

static gboolean refuse_size(const char *name, const IngotDescriptor *blob, const char *why, GError **error)
{
    g_autofree char *digest = ingot_digest_to_text(&blob->digest);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                "%s: the manifest gives the blob %s %" G_GUINT64_FORMAT " bytes, %s", name, digest, blob->size, why);
    return FALSE;
}

/* Of the size that its descriptor gives: with another one the image could not be pushed again. */
static gboolean check_size(const char *name, const IngotDescriptor *blob, GBytes *bytes, GError **error)
{
    return g_bytes_get_size(bytes) == blob->size || refuse_size(name, blob, "but it has another size", error);
}

/* A small blob, from the store or the registry, into the store. One that is damaged is fetched anew. */
static GBytes *fetch_blob(IngotStore *store, IngotRemote *remote, const char *name, const IngotDescriptor *blob,
                          gsize limit, guint64 *received, GError **error)
{
    if (blob->size > limit) {
        refuse_size(name, blob, "which is more than such a blob has", error);
        return NULL;
    }
    g_autoptr(GBytes) there =
        ingot_store_hold(store, &blob->digest) ? ingot_store_read(store, &blob->digest, limit, NULL) : NULL;
    if (there != NULL) {
        return check_size(name, blob, there, error) ? g_steal_pointer(&there) : NULL;
    }
    g_autoptr(GBytes) bytes = ingot_remote_get_blob(remote, name, &blob->digest, MAX(blob->size, ANSWER_LEAST), error);
    if (bytes == NULL || !check_size(name, blob, bytes, error)) {
        return NULL;
    }
    IngotDescriptor put;
    if (!ingot_store_put(store, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), &put, error)) {
        return NULL;
    }
    *received += g_bytes_get_size(bytes);
    return g_steal_pointer(&bytes);
}

/* A disk that is there is read: whoever pulls again may do so because it was found to be damaged. FALSE: the process is
 * to end. */
static gboolean check_disk(IngotStore *store, const IngotDescriptor *disk, const char *what, gboolean *whole,
                           IngotProgress *progress, GError **error)
{
    g_autofree char *path = ingot_store_blob_path(store, &disk->digest);
    g_autoptr(GError) problem = NULL;
    IngotDigest digest;
    guint64 size;
    *whole = FALSE;
    if (!ingot_store_hold(store, &disk->digest)) {
        return TRUE;
    }
    ingot_progress_begin(progress, 0, "check %s", what);
    *whole = ingot_digest_of_file(path, &digest, &size, &problem) && size == disk->size &&
             ingot_digest_equal(&digest, &disk->digest);
    ingot_progress_drop(progress);
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INTERRUPTED)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    return TRUE;
}

/* Another process may have fetched the disk meanwhile, or have failed, over one that is damaged. */
static gboolean pull_disk(IngotStore *store, IngotRemote *remote, const IngotReference *reference, IngotIndex *index,
                          const IngotDescriptor *disk, IngotProgress *progress, guint64 *received, GError **error)
{
    g_autofree char *what = ingot_reference_to_text(reference);
    gboolean whole = FALSE;
    while (check_disk(store, disk, what, &whole, progress, error)) {
        GError *problem = NULL;
        ingot_progress_begin(progress, disk->size, "pull %s", what);
        if (whole || assemble_disk(store, remote, reference, index, disk, progress, received, &problem)) {
            return TRUE;
        }
        if (!g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_EXISTS)) {
            g_propagate_error(error, problem);
            return FALSE;
        }
        g_error_free(problem);
    }
    return FALSE;
}

static gboolean pull_parts(IngotStore *store, IngotRemote *remote, const IngotReference *reference,
                           const IngotManifest *manifest, IngotProgress *progress, guint64 *received, GError **error)
{
    g_autofree char *what = ingot_reference_to_text(reference);
    g_autoptr(GBytes) config =
        fetch_blob(store, remote, reference->name, &manifest->config, CONFIG_MAX, received, error);
    if (config == NULL) {
        return FALSE;
    }
    g_autoptr(json_t) checked =
        ingot_config_parse(g_bytes_get_data(config, NULL), g_bytes_get_size(config), what, error);
    g_autoptr(GBytes) index_bytes = checked == NULL ? NULL
                                                    : fetch_blob(store, remote, reference->name, &manifest->index,
                                                                 INGOT_INDEX_MAX, received, error);
    g_autoptr(IngotIndex) index =
        index_bytes == NULL ? NULL
                            : ingot_index_parse_for(g_bytes_get_data(index_bytes, NULL), g_bytes_get_size(index_bytes),
                                                    manifest->disk.size, what, error);
    if (index == NULL) {
        return FALSE;
    }
    g_clear_pointer(&index_bytes, g_bytes_unref); /* up to 97 MiB, and the disk takes a while */
    return pull_disk(store, remote, reference, index, &manifest->disk, progress, received, error);
}

/* Whether there is no use in asking for more. */
static gboolean is_over(const GError *problem)
{
    return g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NETWORK) ||
           g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INTERRUPTED);
}

/* One attached manifest with its one blob. What is attached is no part of the image: what is odd is left where it is.
 */
static gboolean pull_attachment(IngotStore *store, IngotRemote *remote, const char *name,
                                const IngotDescriptor *subject, const char *digest, guint64 *received, GError **error)
{
    IngotDescriptor own, blob;
    g_autoptr(GBytes) bytes = ingot_remote_get_manifest(remote, name, digest, &own, NULL, error);
    gsize room = INGOT_MANIFEST_VALUES;
    g_autoptr(json_t) root = bytes == NULL ? NULL
                                           : ingot_json_parse_within(g_bytes_get_data(bytes, NULL),
                                                                     g_bytes_get_size(bytes), digest, &room, error);
    if (root == NULL) {
        return FALSE;
    }
    const json_t *layer = json_array_get(json_object_get(root, "layers"), 0);
    const char *artifact = json_string_value(json_object_get(root, "artifactType"));
    const char *type = json_string_value(json_object_get(layer, "mediaType"));
    const char *blob_digest = json_string_value(json_object_get(layer, "digest"));
    json_int_t size = json_integer_value(json_object_get(layer, "size"));
    if (artifact == NULL || type == NULL || blob_digest == NULL || size < 0 ||
        json_array_size(json_object_get(root, "layers")) != 1 || !ingot_digest_parse(blob_digest, &blob.digest, NULL)) {
        return TRUE;
    }
    blob.size = (guint64)size;
    g_autoptr(GBytes) content = fetch_blob(store, remote, name, &blob, ATTACHMENT_MAX, received, error);
    return content != NULL && ingot_store_attach(store, subject, artifact, type, g_bytes_get_data(content, NULL),
                                                 g_bytes_get_size(content), error);
}

/* What is attached, as far as it can be had: the image is whole without it, and of use where its registry knows no more
 * than that. */
static gboolean pull_attachments(IngotStore *store, IngotRemote *remote, const char *name,
                                 const IngotDescriptor *subject, IngotProgress *progress, guint64 *received,
                                 GError **error)
{
    g_autoptr(GError) problem = NULL;
    ingot_remote_limit(remote, 0, 0, ATTACHED_PATIENCE);
    g_autoptr(json_t) all = ingot_remote_some_referrers(remote, name, &subject->digest, &problem);
    for (size_t i = 0; i < json_array_size(all) && !is_over(problem); i++) {
        const char *digest = json_string_value(json_object_get(json_array_get(all, i), "digest"));
        g_autoptr(GError) own = NULL;
        if (problem != NULL) {
            ingot_remote_limit(remote, 0, 0, 0); /* it has been waited for */
        }
        if (digest != NULL && !pull_attachment(store, remote, name, subject, digest, received, &own) &&
            (problem == NULL || is_over(own))) {
            g_clear_error(&problem);
            problem = g_steal_pointer(&own);
        }
    }
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INTERRUPTED)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    if (problem != NULL) {
        ingot_progress_warning(progress, "not all that is attached came along: %s", problem->message);
    }
    return TRUE;
}

/* A pull that has failed counts on nothing any more. Another thread by the same handle may wait for the disk's file. */
static void let_go(IngotStore *store, const IngotManifest *parts, const IngotDescriptor *manifest)
{
    const IngotDescriptor *const blobs[] = {&parts->config, &parts->index, &parts->disk, manifest};
    for (guint i = 0; i < G_N_ELEMENTS(blobs); i++) {
        ingot_store_let_go(store, &blobs[i]->digest);
    }
}

/* tag NULL: by the reference's digest alone. */
static gboolean name_pulled(IngotStore *store, const IngotReference *reference, const char *tag,
                            const IngotDescriptor *manifest, GError **error)
{
    g_autofree char *name = g_strdup_printf("%s/%s", reference->host, reference->name);
    return tag == NULL ? meant_name_pulled(store, name, reference->digest, manifest, error)
                       : ingot_store_tag(store, name, tag, manifest, error);
}

/* All that the manifest names, and what is attached to it. */
static gboolean pull_whole(IngotStore *store, IngotRemote *remote, const IngotReference *reference, GBytes *bytes,
                           const IngotManifest *parts, const IngotDescriptor *manifest, IngotProgress *progress,
                           guint64 *received, GError **error)
{
    IngotDescriptor put;
    return pull_parts(store, remote, reference, parts, progress, received, error) &&
           ingot_store_put(store, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), &put, error) &&
           pull_attachments(store, remote, reference->name, manifest, progress, received, error);
}

/* named FALSE: the image has its names. as NULL: the reference says what it is named. */
static gboolean pull_image(IngotStore *store, IngotReference *reference, gboolean named, const char *as,
                           IngotProgress *progress, IngotDescriptor *manifest, guint64 *received, GError **error)
{
    guint64 own = 0, *count = received == NULL ? &own : received;
    *count = 0;
    g_autoptr(IngotRemote) remote = ingot_remote_new(reference->host, error);
    g_autoptr(GBytes) bytes = remote == NULL ? NULL : ingot_transfer_image_manifest(remote, reference, manifest, error);
    g_autofree char *what = ingot_reference_to_text(reference);
    g_autoptr(IngotManifest) parts =
        bytes == NULL ? NULL
                      : ingot_manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), what, error);
    if (parts == NULL) {
        return FALSE;
    }
    const char *tag = as != NULL || reference->digest != NULL ? as : reference->tag;
    gboolean ok = pull_whole(store, remote, reference, bytes, parts, manifest, progress, count, error) &&
                  (!named || name_pulled(store, reference, tag, manifest, error));
    if (!ok || !named) {
        let_go(store, parts, manifest);
    }
    if (ok) {
        g_autofree char *size = ingot_text_size(*count);
        ingot_progress_end(progress, "%s over the network", size);
    }
    return ok;
}

gboolean ingot_transfer_pull(IngotStore *store, IngotReference *reference, IngotProgress *progress,
                             IngotDescriptor *manifest, guint64 *received, GError **error)
{
    return pull_image(store, reference, TRUE, NULL, progress, manifest, received, error);
}

gboolean pull_as(IngotStore *store, IngotReference *reference, const char *tag, IngotProgress *progress,
                 IngotDescriptor *manifest, guint64 *received, GError **error)
{
    return pull_image(store, reference, TRUE, tag, progress, manifest, received, error);
}

gboolean pull_again(IngotStore *store, IngotReference *reference, IngotProgress *progress, GError **error)
{
    IngotDescriptor manifest;
    return pull_image(store, reference, FALSE, NULL, progress, &manifest, NULL, error);
}

gboolean ingot_pull_parse(const char *text, const IngotReference *reference, IngotPull *pull, GError **error)
{
    static const char *const names[] = {
        [INGOT_PULL_MISSING] = "missing", [INGOT_PULL_ALWAYS] = "always", [INGOT_PULL_NEVER] = "never", NULL};
    guint found = text == NULL ? INGOT_PULL_MISSING : 0;
    while (text != NULL && names[found] != NULL && strcmp(names[found], text) != 0) {
        found++;
    }
    if (names[found] == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--pull=%s: missing, always or never is expected", text);
        return FALSE;
    }
    *pull = (IngotPull)found;
    if (*pull == INGOT_PULL_ALWAYS && reference->host == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "--pull=always: %s has no host: it is an image of the store, which no registry is asked for",
                    reference->name);
        return FALSE;
    }
    return TRUE;
}

gboolean ingot_pull_asks(IngotPull pull, const IngotReference *reference, const GError *problem)
{
    gboolean missing = pull == INGOT_PULL_ALWAYS || g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND);
    return missing && pull != INGOT_PULL_NEVER && reference->host != NULL;
}

IngotImage *ingot_transfer_image(IngotStore *store, IngotReference *reference, IngotPull pull, IngotProgress *progress,
                                 GError **error)
{
    IngotDescriptor manifest;
    GError *problem = NULL;
    IngotImage *image = pull == INGOT_PULL_ALWAYS ? NULL : ingot_store_image(store, reference, &problem);
    if (image != NULL) {
        return image;
    }
    if (!ingot_pull_asks(pull, reference, problem)) {
        g_propagate_error(error, problem);
        return NULL;
    }
    g_clear_error(&problem);
    if (!ingot_transfer_pull(store, reference, progress, &manifest, NULL, error)) {
        return NULL;
    }
    g_autofree char *digest = ingot_digest_to_text(&manifest.digest); /* the reference's own may be an index's */
    g_autoptr(IngotReference) exact = ingot_reference_new(reference->host, reference->name, reference->tag, digest);
    return ingot_store_image(store, exact, error);
}
