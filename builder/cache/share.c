#include "cache/share.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/disk.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <ingot/format.h>
#include <ingot/packer.h>
#include <ingot/transfer.h>
#include <string.h>
#include <unistd.h>

#include "cache/draft.h"
#include "cache/nodes.h"

#define ARTIFACT "application/vnd.ingot.memory.v1"
#define CONFIG_MAX (16u << 20) /* bytes */
#define PART (8u << 20)        /* bytes of memory fetched by one range */

/* "KEY", or "KEY.memory". Free it. */
static char *tag_of(const IngotDigest *key, const char *suffix)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(key, text);
    return g_strconcat(text + strlen("sha256:"), suffix, NULL);
}

/* The manifest of a tag; NULL without an error where there is none. */
static GBytes *find_manifest(IngotRemote *remote, const char *name, const char *tag, GError **error)
{
    IngotDescriptor own;
    GError *problem = NULL;
    GBytes *bytes = ingot_remote_get_manifest(remote, name, tag, &own, NULL, &problem);
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        g_error_free(problem);
    } else if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return bytes;
}

static json_t *describe_blob(const char *type, const IngotDescriptor *blob)
{
    char digest[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&blob->digest, digest);
    return ingot_json_pack("{s:s, s:s, s:I}", "mediaType", type, "digest", digest, "size", (json_int_t)blob->size);
}

/* What passes through the store leaves no name there. */
static gboolean forget(const Share *share, const char *tag, GError **error)
{
    g_autoptr(IngotReference) named = ingot_reference_new(share->where->host, share->where->name, tag, NULL);
    g_autoptr(IngotStoreEntry) entry = ingot_store_find(share->store, named, error);
    return entry != NULL && ingot_store_remove(share->store, entry, NULL, error);
}

/* --- out --- */

static gboolean push_memory(const Share *share, IngotRemote *remote, const Node *node, GError **error)
{
    const char *name = share->where->name;
    g_autofree char *path = node_file(node, NODE_MEMORY), *tag = tag_of(&node_run(node)->key, ".memory");
    IngotDescriptor memory, empty = {.size = 2};
    ingot_digest_of("{}", 2, &empty.digest);
    g_autofree char *empty_path = g_build_filename(share->workdir, "empty.json", NULL);
    if (!ingot_digest_of_file(path, &memory.digest, &memory.size, error) ||
        !ingot_file_replace(empty_path, "{}", 2, 0600, error) ||
        !ingot_remote_put_blob(remote, name, empty_path, &empty, NULL, error) ||
        !ingot_remote_put_blob(remote, name, path, &memory, share->progress, error)) {
        return FALSE;
    }
    g_autoptr(json_t) manifest = ingot_json_pack(
        "{s:i, s:s, s:s, s:o, s:[o]}", "schemaVersion", 2, "mediaType", INGOT_TYPE_MANIFEST, "artifactType", ARTIFACT,
        "config", describe_blob(INGOT_TYPE_EMPTY, &empty), "layers", describe_blob(INGOT_TYPE_MEMORY, &memory));
    g_autofree char *text = ingot_json_canonical(manifest);
    return ingot_remote_put_manifest(remote, name, tag, text, strlen(text), INGOT_TYPE_MANIFEST, error);
}

/* The node's disk as an image of the store. */
static gboolean pack_node(const Share *share, const Node *node, const char *tag, GError **error)
{
    g_autofree char *path = node_file(node, NODE_DISK);
    g_autofree char *name = g_strdup_printf("%s/%s", share->where->host, share->where->name);
    g_autoptr(IngotBlocks) blocks = ingot_blocks_open(path, "qcow2", error);
    IngotPackOptions options = {0};
    g_autoptr(json_t) record = node_describe(node, error);
    g_autoptr(IngotPacked) packed =
        blocks == NULL || record == NULL ? NULL : ingot_store_pack(share->store, blocks, &options, error);
    if (packed == NULL) {
        return FALSE;
    }
    IngotDescriptor disk = {.digest = packed->digest, .size = packed->size}, manifest;
    g_autoptr(json_t) config = ingot_config_new("amd64", packed->index->disk_size);
    json_object_set(config, "node", record);
    return ingot_store_add_image(share->store, name, tag, config, NULL, &disk, packed->index, &manifest, error);
}

gboolean share_push(const Share *share, const Node *node, gboolean *pushed, GError **error)
{
    g_autofree char *tag = tag_of(&node_run(node)->key, "");
    GError *problem = NULL;
    g_autoptr(IngotRemote) remote = ingot_remote_new(share->where->host, error);
    g_autoptr(GBytes) there = remote == NULL ? NULL : find_manifest(remote, share->where->name, tag, &problem);
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    if (remote == NULL || problem != NULL) {
        return FALSE;
    }
    *pushed = there == NULL;
    if (there != NULL) {
        return TRUE;
    }
    g_autoptr(IngotReference) named = ingot_reference_new(share->where->host, share->where->name, tag, NULL);
    IngotDescriptor manifest;
    /* The image's tag comes last: who sees it finds all. */
    return pack_node(share, node, tag, error) &&
           (node->fingerprint == NULL || push_memory(share, remote, node, error)) &&
           ingot_transfer_push(share->store, named, named, share->progress, &manifest, error) &&
           forget(share, tag, error);
}

/* --- in --- */

/* What the image's config says of the node, where the node may stand here; NULL without an error where it may not. */
static Node *look_at(const Share *share, IngotRemote *remote, const Plan *plan, guint stage, const char *fingerprint,
                     GError **error)
{
    const char *name = share->where->name;
    g_autofree char *tag = tag_of(&plan_stage(plan, stage)->key, "");
    g_autoptr(GBytes) bytes = find_manifest(remote, name, tag, error);
    g_autoptr(IngotManifest) parts =
        bytes == NULL ? NULL : ingot_manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), tag, error);
    g_autoptr(GBytes) text =
        parts == NULL ? NULL : ingot_remote_get_blob(remote, name, &parts->config.digest, CONFIG_MAX, error);
    g_autoptr(json_t) config =
        text == NULL ? NULL : ingot_config_parse(g_bytes_get_data(text, NULL), g_bytes_get_size(text), tag, error);
    const json_t *record = config == NULL ? NULL : ingot_json_get_object(config, "node", tag, error);
    g_autoptr(Node) node = record == NULL ? NULL : node_parse(record, tag, error);
    if (node == NULL) {
        return NULL;
    }
    gboolean fits = ingot_digest_equal(&node_run(node)->key, &plan_stage(plan, stage)->key) &&
                    (node->fingerprint == NULL || strcmp(node->fingerprint, fingerprint) == 0) &&
                    nodes_fresh(node, plan, g_get_real_time() / G_USEC_PER_SEC);
    return fits ? g_steal_pointer(&node) : NULL;
}

typedef struct {
    int fd;
    const char *path;
} Sink;

static gboolean take_range(guint64 offset, const void *data, gsize size, gpointer user, GError **error)
{
    const Sink *sink = user;
    return ingot_file_pwrite(sink->fd, data, size, offset, sink->path, error);
}

static gboolean fetch_blob(IngotRemote *remote, const char *name, const IngotDescriptor *blob, const char *path,
                           GError **error)
{
    g_auto(IngotFd) fd = ingot_file_open(path, O_WRONLY | O_CREAT | O_EXCL, 0600, error);
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(IngotRange));
    for (guint64 at = 0; at < blob->size; at += PART) {
        IngotRange one = {.offset = at, .length = MIN(PART, blob->size - at)};
        g_array_append_val(ranges, one);
    }
    Sink sink = {.fd = fd, .path = path};
    IngotDigest digest;
    if (fd < 0 ||
        !ingot_remote_get_ranges(remote, name, &blob->digest, blob->size, (const IngotRange *)(void *)ranges->data,
                                 ranges->len, take_range, &sink, NULL, error) ||
        !ingot_digest_of_file(path, &digest, NULL, error)) {
        return FALSE;
    }
    if (!ingot_digest_equal(&digest, &blob->digest)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: what the registry sent does not match its digest",
                    path);
        return FALSE;
    }
    return TRUE;
}

static gboolean fetch_memory(const Share *share, IngotRemote *remote, const NodeDraft *draft, Node *node,
                             GError **error)
{
    const char *name = share->where->name;
    g_autofree char *tag = tag_of(&node_run(node)->key, ".memory"), *path = draft_file(draft, NODE_MEMORY);
    g_autoptr(GBytes) bytes = find_manifest(remote, name, tag, error);
    g_autoptr(json_t) manifest =
        bytes == NULL ? NULL : ingot_json_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), tag, error);
    const json_t *layer = json_array_get(json_object_get(manifest, "layers"), 0);
    const char *digest = layer == NULL ? NULL : ingot_json_get_string(layer, "digest", tag, error);
    IngotDescriptor blob;
    if (digest == NULL || !ingot_digest_parse(digest, &blob.digest, error) ||
        !ingot_json_get_size(layer, "size", tag, &blob.size, error)) {
        if (error != NULL && *error == NULL) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s/%s:%s: no machine's memory is there",
                        share->where->host, name, tag);
        }
        return FALSE;
    }
    json_object_set_new(node->files, NODE_MEMORY, json_null());
    return fetch_blob(remote, name, &blob, path, error);
}

static gboolean fetch_disk(const Share *share, const Node *node, const NodeDraft *draft, GError **error)
{
    g_autofree char *tag = tag_of(&node_run(node)->key, "");
    g_autoptr(IngotReference) named = ingot_reference_new(share->where->host, share->where->name, tag, NULL);
    IngotDescriptor manifest;
    g_autoptr(IngotImage) image = ingot_transfer_pull(share->store, named, share->progress, &manifest, NULL, error)
                                      ? ingot_store_image(share->store, named, error)
                                      : NULL;
    g_autoptr(IngotDisk) disk = image == NULL ? NULL : ingot_disk_open(image->disk_path, image->index, error);
    return disk != NULL &&
           ingot_format_export(ingot_format_qcow2, &(IngotFormatInput){.disk = disk}, draft_disk(draft), NULL, error) &&
           forget(share, tag, error);
}

gboolean share_pull(const Share *share, const Recipe *recipe, const Plan *plan, guint stage, const char *source,
                    const char *fingerprint, GError **error)
{
    g_autoptr(IngotRemote) remote = ingot_remote_new(share->where->host, error);
    g_autoptr(Node) node = remote == NULL ? NULL : look_at(share, remote, plan, stage, fingerprint, error);
    g_autoptr(NodeDraft) draft = node == NULL ? NULL : draft_new(share->cache, share->workdir, error);
    if (draft == NULL) {
        return FALSE;
    }
    json_object_clear(node->files);
    g_clear_pointer(&node->below, g_free); /* its disk is whole */
    g_free(node->source);
    node->source = g_strdup(source);
    g_free(node->recipe);
    node->recipe = g_strdup(recipe->name);
    return fetch_disk(share, node, draft, error) &&
           (node->fingerprint == NULL || fetch_memory(share, remote, draft, node, error)) &&
           draft_publish(draft, node, error);
}
