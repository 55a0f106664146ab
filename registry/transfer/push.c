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
    gboolean small_sent; /* the config and the index */
} Pushing;

static gboolean push_small(gpointer user, GError **error)
{
    Pushing *pushing = user;
    const IngotManifest *manifest = pushing->image->manifest;
    const IngotDescriptor *blobs[] = {&manifest->config, &manifest->index};
    for (guint i = 0; !pushing->small_sent && i < G_N_ELEMENTS(blobs); i++) {
        if (!send_blob(pushing->store, pushing->remote, pushing->name, blobs[i], pushing->progress, error)) {
            return FALSE;
        }
    }
    pushing->small_sent = TRUE;
    return TRUE;
}

/* The disk first, of which the parts that the registry lacks: while that is hashed there, the small ones go. */
static gboolean push_blobs(Pushing *pushing, guint64 *sent, GError **error)
{
    const IngotDescriptor *disk = &pushing->image->manifest->disk;
    const IngotMeanwhile meanwhile = {push_small, pushing};
    gboolean send;
    return send_is_needed(pushing->store, pushing->remote, pushing->name, disk, &send, pushing->progress, error) &&
           (!send || ingot_transfer_push_disk(pushing->store, pushing->remote, pushing->name, disk,
                                              pushing->image->index, &meanwhile, pushing->progress, sent, error)) &&
           push_small(pushing, error);
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
    guint64 total = found->manifest->config.size + found->manifest->index.size + found->manifest->disk.size;
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
