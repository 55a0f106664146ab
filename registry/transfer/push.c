#include <ingot/error.h>
#include <ingot/remote.h>
#include <ingot/store.h>
#include <ingot/transfer.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "remote/ours.h"
#include "store/blobs.h"
#include "store/lacking.h"
#include "transfer/attachments.h"
#include "transfer/push.h"
#include "transfer/send.h"

gboolean ingot_transfer_push_disk(IngotStore *store, IngotRemote *remote, const char *name, const IngotDescriptor *disk,
                                  IngotIndex *index, const IngotMeanwhile *meanwhile, IngotProgress *progress,
                                  guint64 *sent, GError **error)
{
    g_autofree char *path = ingot_store_blob_path(store, &disk->digest);
    g_autofree char *uploads = g_build_filename(ingot_store_path(store), "uploads", NULL);
    gboolean known = ingot_store_load_frames(store, &disk->digest, index);
    ingot_remote_keep_uploads(remote, uploads);
    gboolean ok = ingot_remote_put_disk(remote, name, path, disk, index, meanwhile, progress, sent, error);
    if (index->frames == NULL) {
        ingot_store_drop_frames(store, &disk->digest);
    } else if (ok && !known) {
        ingot_store_keep_frames(store, &disk->digest, index);
    }
    return ok;
}

/* --- an image's blobs --- */

typedef struct {
    IngotStore *store;
    IngotRemote *remote;
    const char *name;
    const IngotImage *image;
    IngotProgress *progress;
    gboolean small_sent; /* the config and the indexes */
} Pushing;

static gboolean push_small(gpointer user, GError **error)
{
    Pushing *pushing = user;
    const IngotManifest *manifest = pushing->image->manifest;
    gboolean ok = pushing->small_sent || send_blob(pushing->store, pushing->remote, pushing->name, &manifest->config,
                                                   pushing->progress, error);
    for (guint i = 0; ok && !pushing->small_sent && i < manifest->disks->len; i++) {
        ok = send_blob(pushing->store, pushing->remote, pushing->name, &ingot_manifest_disk(manifest, i)->index,
                       pushing->progress, error);
    }
    pushing->small_sent = ok;
    return ok;
}

static gboolean push_disk(Pushing *pushing, guint i, guint64 *sent, GError **error)
{
    const IngotDescriptor *disk = &ingot_manifest_disk(pushing->image->manifest, i)->disk;
    const IngotMeanwhile meanwhile = {push_small, pushing};
    gboolean send;
    guint64 part = 0;
    if (!send_is_needed(pushing->store, pushing->remote, pushing->name, disk, &send, pushing->progress, error) ||
        (send && !ingot_transfer_push_disk(pushing->store, pushing->remote, pushing->name, disk,
                                           ingot_image_part(pushing->image, i)->index, &meanwhile, pushing->progress,
                                           &part, error))) {
        return FALSE;
    }
    *sent += part;
    return TRUE;
}

/* The disks first, of which the parts that the registry lacks: while one is hashed there, the small blobs go. */
static gboolean push_blobs(Pushing *pushing, guint64 *sent, GError **error)
{
    for (guint i = 0; i < pushing->image->disks->len; i++) {
        if (!push_disk(pushing, i, sent, error)) {
            return FALSE;
        }
    }
    return push_small(pushing, error);
}

/* A registry that has not got them either is to refuse the manifest. */
static void tell_layers(IngotStore *store, const IngotDigest *image, IngotProgress *progress)
{
    g_autoptr(json_t) layers = lacking_load_layers(store, image);
    if (json_array_size(layers) > 0) {
        ingot_progress_warning(progress,
                               "layers after the disk, %u of them, were not fetched when the image was pulled, and are "
                               "not sent: a registry that lacks them refuses the image",
                               (guint)json_array_size(layers));
    }
}

static guint64 blobs_size(const IngotManifest *manifest)
{
    guint64 size = manifest->config.size + ingot_manifest_stored(manifest);
    for (guint i = 0; i < manifest->disks->len; i++) {
        size += ingot_manifest_disk(manifest, i)->index.size;
    }
    return size;
}

static gboolean push_image(IngotStore *store, const IngotReference *image, const IngotReference *destination,
                           gboolean whole, const IngotPushOptions *options, IngotDescriptor *manifest, GError **error)
{
    IngotProgress *progress = options == NULL ? NULL : options->progress;
    const IngotRemoteOptions *asked = options == NULL ? NULL : options->remote;
    g_autoptr(IngotImage) found = ingot_store_image(store, image, error);
    g_autoptr(IngotRemote) remote = found == NULL ? NULL : ingot_remote_new(destination->host, asked, error);
    if (remote == NULL) {
        return FALSE;
    }
    ingot_store_hold_image(store, found); /* it is read for long */
    tell_layers(store, &found->entry->manifest.digest, progress);
    guint64 total = blobs_size(found->manifest);
    g_autofree char *text = ingot_reference_to_text(destination);
    ingot_progress_begin(progress, total, "push %s", text);
    guint64 sent = 0;
    Pushing pushing = {store, remote, destination->name, found, progress, FALSE};
    if (!push_blobs(&pushing, &sent, error)) {
        ingot_progress_drop(progress);
        return FALSE;
    }
    *manifest = found->entry->manifest;
    g_autofree char *digest = ingot_digest_to_text(&manifest->digest);
    g_autoptr(GBytes) bytes = ingot_store_read(store, &manifest->digest, INGOT_MANIFEST_MAX, error);
    g_autofree char *left = NULL;
    /* Last, so that whoever sees the tag can have all that it names. */
    if (bytes == NULL || !attachments_push(store, remote, destination->name, manifest, whole, progress, &left, error) ||
        !ingot_remote_put_manifest(remote, destination->name, destination->tag == NULL ? digest : destination->tag,
                                   g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), INGOT_TYPE_MANIFEST,
                                   error)) {
        ingot_progress_drop(progress);
        return FALSE;
    }
    g_autofree char *size = ingot_text_size(sent);
    ingot_progress_end(progress, "%s of the disk sent", size);
    if (left != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s is pushed, but %s", text, left);
    }
    return left == NULL;
}

gboolean ingot_transfer_push(IngotStore *store, const IngotReference *image, const IngotReference *destination,
                             const IngotPushOptions *options, IngotDescriptor *manifest, GError **error)
{
    return push_image(store, image, destination, FALSE, options, manifest, error);
}

gboolean ingot_transfer_push_whole(IngotStore *store, const IngotReference *image, const IngotReference *destination,
                                   const IngotPushOptions *options, IngotDescriptor *manifest, GError **error)
{
    return push_image(store, image, destination, TRUE, options, manifest, error);
}
