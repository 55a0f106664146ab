#include "cache/shared.h"

#include <ingot/error.h>
#include <string.h>

#include "base/file.h"

#define CONFIG_MAX (16u << 20) /* bytes */

const SharedFile shared_files[SHARED_FILES] = {{NODE_MEMORY, INGOT_TYPE_MEMORY},
                                               {MACHINE_VARIABLES, INGOT_TYPE_VARIABLES}};

void shared_free(Shared *shared)
{
    if (shared != NULL) {
        g_free(shared->digest);
        node_free(shared->node);
        g_free(shared);
    }
}

char *shared_tag(const IngotDigest *key)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(key, text);
    return g_strdup(text + strlen("sha256:"));
}

/* --- through the store --- */

/* Whether it is of the form that shared_tag gives. */
static gboolean shared_is_tag(const char *tag)
{
    return tag != NULL && strlen(tag) == INGOT_DIGEST_TEXT_SIZE - sizeof "sha256:" &&
           strspn(tag, "0123456789abcdef") == strlen(tag);
}

/* Whether a name of the store is that of a node, whatever else lies under the same name there. One that can't be read
 * is of no use to anybody, and takes the room of a disk. */
static gboolean shared_is_node(const Share *share, const IngotStoreEntry *entry)
{
    g_autofree char *name = g_strdup_printf("%s/%s", share->where->host, share->where->name);
    if (strcmp(entry->name, name) != 0) {
        return FALSE;
    }
    g_autofree char *digest = ingot_digest_to_text(&entry->manifest.digest);
    g_autoptr(IngotReference) exact = ingot_reference_new(share->where->host, share->where->name, entry->tag, digest);
    g_autoptr(IngotImage) image = ingot_store_image_by_digest(share->store, exact, NULL);
    return image == NULL ? shared_is_tag(entry->tag) : json_object_get(image->config, "node") != NULL;
}

/* What can't be removed stays for the next share. */
static void shared_sweep(const Share *share)
{
    g_autoptr(GPtrArray) names = ingot_store_list(share->store, NULL);
    for (guint i = 0; names != NULL && i < names->len; i++) {
        const IngotStoreEntry *entry = g_ptr_array_index(names, i);
        if (shared_is_node(share, entry)) {
            ingot_store_remove(share->store, entry, NULL, NULL);
        }
    }
}

IngotLock *shared_begin(const Share *share, GError **error)
{
    g_autofree char *path = g_build_filename(ingot_store_path(share->store), ".share.lock", NULL);
    g_autoptr(IngotLock) alone = ingot_lock_take(path, TRUE, FALSE, NULL);
    if (alone != NULL) {
        shared_sweep(share);
    }
    g_clear_pointer(&alone, ingot_lock_release); /* before a name is made: another share may sweep in between */
    return ingot_lock_take(path, FALSE, TRUE, error);
}

void shared_forget(const Share *share, const char *tag, const char *digest)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(IngotReference) named = ingot_reference_new(share->where->host, share->where->name, tag, digest);
    g_autoptr(IngotStoreEntry) entry = ingot_store_find(share->store, named, &problem);
    if (entry == NULL || !ingot_store_remove(share->store, entry, NULL, &problem)) {
        g_autofree char *text = ingot_reference_to_text(named);
        ingot_progress_message(share->progress, "%s stays in the store: %s", text, problem->message);
    }
}

/* --- the layers --- */

static gboolean shared_is_layer(const json_t *layer, const SharedFile *file)
{
    const json_t *annotations = json_object_get(layer, "annotations");
    const char *title = json_string_value(json_object_get(annotations, "org.opencontainers.image.title"));
    return g_strcmp0(json_string_value(json_object_get(layer, "mediaType")), file->type) == 0 &&
           g_strcmp0(title, file->name) == 0;
}

static gboolean shared_add_layer(Shared *shared, const json_t *layer, const char *tag, GError **error)
{
    for (guint i = 0; i < SHARED_FILES; i++) {
        if (!shared_is_layer(layer, &shared_files[i])) {
            continue;
        }
        const char *digest = ingot_json_get_string(layer, "digest", tag, error);
        if (digest == NULL || !ingot_digest_parse(digest, &shared->files[i].digest, error) ||
            !ingot_json_get_size(layer, "size", tag, &shared->files[i].size, error)) {
            return FALSE;
        }
        shared->has[i] = TRUE;
    }
    return TRUE;
}

/* Whether every file of the record but the disk has its layer. */
static gboolean shared_is_whole(const Shared *shared)
{
    const char *name;
    json_t *value;
    guint found = 0;
    json_object_foreach(shared->node->files, name, value)
    {
        for (guint i = 0; i < SHARED_FILES; i++) {
            found += shared->has[i] && strcmp(shared_files[i].name, name) == 0 ? 1 : 0;
        }
    }
    return found + 1 == json_object_size(shared->node->files) &&
           json_object_get(shared->node->files, NODE_DISK) != NULL;
}

/* --- the manifest --- */

/* The manifest of a tag: NONE where there is none. */
static ShareState shared_find(const Share *share, IngotRemote *remote, const char *tag, Shared *shared, GBytes **bytes,
                              GError **error)
{
    IngotDescriptor own;
    GError *problem = NULL;
    *bytes = ingot_remote_get_manifest(remote, share->where->name, tag, &own, NULL, &problem);
    gboolean none = g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND);
    if (*bytes == NULL && !none) {
        g_propagate_error(error, problem);
        return SHARE_FAILED;
    }
    if (share->answered != NULL) {
        *share->answered = TRUE;
    }
    if (none) {
        g_error_free(problem);
        return SHARE_NONE;
    }
    shared->digest = ingot_digest_to_text(&own.digest);
    return SHARE_DONE;
}

/* The record in the config that a manifest names, or NULL. */
static Node *shared_record(const Share *share, IngotRemote *remote, const char *tag, GBytes *manifest, GError **error)
{
    g_autoptr(IngotManifest) parts =
        ingot_manifest_parse(g_bytes_get_data(manifest, NULL), g_bytes_get_size(manifest), tag, error);
    g_autoptr(GBytes) text =
        parts == NULL ? NULL
                      : ingot_remote_get_blob(remote, share->where->name, &parts->config.digest, CONFIG_MAX, error);
    g_autoptr(json_t) config =
        text == NULL ? NULL : ingot_config_parse(g_bytes_get_data(text, NULL), g_bytes_get_size(text), tag, error);
    const json_t *record = config == NULL ? NULL : ingot_json_get_object(config, "node", tag, error);
    return record == NULL ? NULL : node_parse(record, tag, error);
}

ShareState shared_read(const Share *share, IngotRemote *remote, const char *tag, Shared **shared, GError **error)
{
    g_autoptr(Shared) found = g_new0(Shared, 1);
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GError) problem = NULL;
    ShareState state = shared_find(share, remote, tag, found, &bytes, error);
    if (state != SHARE_DONE) {
        return state;
    }
    g_autoptr(json_t) manifest =
        ingot_json_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), tag, &problem);
    const json_t *layers = json_object_get(manifest, "layers");
    found->node = manifest == NULL ? NULL : shared_record(share, remote, tag, bytes, &problem);
    for (size_t i = 2; found->node != NULL && i < json_array_size(layers); i++) {
        if (!shared_add_layer(found, json_array_get(layers, i), tag, &problem)) {
            g_clear_pointer(&found->node, node_free);
        }
    }
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NETWORK) ||
        g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_DENIED) ||
        g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INTERRUPTED)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return SHARE_FAILED;
    }
    if (found->node == NULL || !shared_is_whole(found)) {
        return SHARE_NONE; /* of another form, and of no use */
    }
    *shared = g_steal_pointer(&found);
    return SHARE_DONE;
}
