#include "cache/share.h"

#include <ingot/error.h>
#include <ingot/packer.h>
#include <ingot/remote.h>
#include <ingot/transfer.h>
#include <string.h>

#include "cache/checksum.h"
#include "cache/nodes.h"
#include "cache/shared.h"
#include "remote/environment.h"
#include "transfer/push.h"

/* A blob, unless the registry has it. */
static gboolean share_put(const Share *share, IngotRemote *remote, const char *path, const IngotDescriptor *blob,
                          GError **error)
{
    const char *name = share->where->name;
    gboolean has;
    return ingot_remote_has_blob(remote, name, &blob->digest, &has, error) &&
           (has || ingot_remote_put_blob(remote, name, path, blob, share->progress, error));
}

static gboolean share_put_stored(const Share *share, IngotRemote *remote, const IngotDescriptor *blob, GError **error)
{
    g_autofree char *path = ingot_store_blob_path(share->store, &blob->digest);
    return share_put(share, remote, path, blob, error);
}

/* Of a disk the parts that the registry lacks. */
static gboolean share_put_disk(const Share *share, IngotRemote *remote, const IngotImage *image, GError **error)
{
    const IngotDescriptor *disk = &ingot_manifest_disk(image->manifest, 0)->disk; /* a node's one */
    gboolean has;
    return ingot_remote_has_blob(remote, share->where->name, &disk->digest, &has, error) &&
           (has || ingot_transfer_push_disk(share->store, remote, share->where->name, disk,
                                            ingot_image_part(image, 0)->index, NULL, share->progress, NULL, error));
}

/* --- the manifest --- */

/* The node's disk as an image of the store, under the name that it will have in the registry. */
static IngotImage *share_pack(const Share *share, const Node *node, const char *tag, GError **error)
{
    g_autofree char *path = node_file(node, NODE_DISK);
    g_autofree char *name = g_strdup_printf("%s/%s", share->where->host, share->where->name);
    g_autoptr(IngotReference) named = ingot_reference_new(share->where->host, share->where->name, tag, NULL);
    g_autoptr(json_t) record = node_describe(node, error);
    g_autoptr(IngotBlocks) blocks = record == NULL ? NULL : ingot_blocks_open(path, "qcow2", error);
    IngotPackOptions options = {0};
    g_autoptr(IngotPacked) packed = blocks == NULL ? NULL : ingot_store_pack(share->store, blocks, &options, error);
    if (packed == NULL) {
        return NULL;
    }
    const IngotPackedDisk disk = {{packed->digest, packed->size}, packed->index};
    IngotDescriptor manifest;
    g_autoptr(json_t) config = ingot_config_new("amd64", packed->index->disk_size);
    json_object_set(config, "node", record);
    if (!ingot_store_add_image(share->store, name, tag, config, NULL, &disk, 1, &manifest, error)) {
        return NULL;
    }
    IngotImage *image = ingot_store_image(share->store, named, error);
    if (image == NULL) {
        shared_forget(share, tag, NULL);
    }
    return image;
}

/* Sends a further file and adds its layer. */
static gboolean share_add_file(const Share *share, IngotRemote *remote, const Node *node, const SharedFile *file,
                               json_t *layers, GError **error)
{
    g_autofree char *path = node_file(node, file->name);
    IngotDescriptor blob;
    char digest[INGOT_DIGEST_TEXT_SIZE];
    if (!ingot_digest_of_file(path, &blob.digest, &blob.size, error) || !share_put(share, remote, path, &blob, error)) {
        return FALSE;
    }
    ingot_digest_write_text(&blob.digest, digest);
    json_array_append_new(layers, ingot_json_pack("{s:s, s:s, s:I, s:{s:s}}", "mediaType", file->type, "digest", digest,
                                                  "size", (json_int_t)blob.size, "annotations",
                                                  "org.opencontainers.image.title", file->name));
    return TRUE;
}

/* Last the manifest, by one request: who sees it finds all that it names. */
static gboolean share_send(const Share *share, IngotRemote *remote, const Node *node, const char *tag,
                           const IngotImage *image, GError **error)
{
    const IngotManifest *parts = image->manifest;
    ingot_progress_begin(share->progress, ingot_manifest_stored(parts), "push the machine after '%s'",
                         node_run(node)->title);
    g_autofree char *disk_image = ingot_manifest_to_text(parts);
    g_autoptr(json_t) manifest = ingot_json_parse(disk_image, strlen(disk_image), tag, error);
    if (manifest == NULL || !share_put_stored(share, remote, &parts->config, error) ||
        !share_put_stored(share, remote, &ingot_manifest_disk(parts, 0)->index, error) ||
        !share_put_disk(share, remote, image, error)) {
        return FALSE;
    }
    for (guint i = 0; i < SHARED_FILES; i++) {
        if (json_object_get(node->files, shared_files[i].name) != NULL &&
            !share_add_file(share, remote, node, &shared_files[i], json_object_get(manifest, "layers"), error)) {
            return FALSE;
        }
    }
    g_autofree char *text = ingot_json_canonical(manifest);
    if (!ingot_remote_put_manifest(remote, share->where->name, tag, text, strlen(text), INGOT_TYPE_MANIFEST, error)) {
        return FALSE;
    }
    ingot_progress_end(share->progress, NULL);
    return TRUE;
}

/* --- the push --- */

/* Whether the registry's node may stay. */
static gboolean share_is_current(const Shared *there, const Plan *plan, const Node *node)
{
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    return ingot_digest_equal(&node_run(there->node)->key, &node_run(node)->key) &&
           node_run(there->node)->ran >= node_run(node)->ran &&
           (nodes_fresh(there->node, plan, now) || !nodes_fresh(node, plan, now));
}

/* The memory, which node_verify leaves out: a machine that resumes compares its checksum, a push has to do it itself.
 */
static gboolean share_verify_memory(const Node *node, GError **error)
{
    const char *wanted = json_string_value(json_object_get(node->files, NODE_MEMORY));
    if (wanted == NULL) {
        return TRUE;
    }
    g_autofree char *path = node_file(node, NODE_MEMORY);
    g_autofree char *found = checksum_of_file(path, FALSE, error);
    if (found != NULL && strcmp(found, wanted) != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: its bytes do not match their checksum", path);
        return FALSE;
    }
    return found != NULL;
}

/* DONE: *hold is on the node, and it is whole. NONE: it was evicted meanwhile. */
static ShareState share_hold(const Share *share, const Node *node, NodeHold **hold, GError **error)
{
    GError *problem = NULL;
    *hold = nodes_hold(share->cache, node, &problem);
    if (*hold != NULL && share_verify_memory(node, &problem)) {
        return SHARE_DONE;
    }
    ShareState state = g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND) ? SHARE_NONE
                       : g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT) ? SHARE_DAMAGED
                                                                                    : SHARE_FAILED;
    if (state == SHARE_NONE) {
        g_error_free(problem);
    } else {
        g_propagate_error(error, problem);
    }
    return state;
}

ShareState share_push(const Share *share, const Plan *plan, const Node *node, GError **error)
{
    g_autofree char *tag = shared_tag(&node_run(node)->key);
    g_autoptr(IngotRemote) remote = environment_remote(share->where->host, error);
    g_autoptr(Shared) there = NULL;
    ShareState found = remote == NULL ? SHARE_FAILED : shared_read(share, remote, tag, &there, error);
    if (found == SHARE_FAILED || (found == SHARE_DONE && share_is_current(there, plan, node))) {
        return found == SHARE_FAILED ? SHARE_FAILED : SHARE_NONE;
    }
    g_autoptr(NodeHold) hold = NULL;
    ShareState held = share_hold(share, node, &hold, error);
    if (held != SHARE_DONE) {
        return held;
    }
    g_autoptr(IngotLock) passing = shared_begin(share, error);
    g_autoptr(IngotImage) image = passing == NULL ? NULL : share_pack(share, node, tag, error);
    if (image == NULL) {
        return SHARE_FAILED;
    }
    gboolean sent = share_send(share, remote, node, tag, image, error);
    /* What passes through the store leaves no name there, nor does what did not arrive. */
    shared_forget(share, tag, NULL);
    return sent ? SHARE_DONE : SHARE_FAILED;
}
