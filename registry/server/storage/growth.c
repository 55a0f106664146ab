#include "server/storage/growth.h"

#include <ingot/manifest.h>
#include <string.h>

#include "server/storage/mentions.h"

#define CONFIG_MAX (1u << 20) /* bytes; a larger config is nobody's but an attacker's */
#define USUAL_OS "linux"      /* of a platform, where an image tells its distribution, or nothing */

/* --- an index and what it grows from --- */

static const char *get(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

gboolean growth_is_index(const char *type)
{
    return strcmp(type, GROWTH_TYPE) == 0 ||
           strcmp(type, "application/vnd.docker.distribution.manifest.list.v2+json") == 0;
}

/* Some clients read keys in any letter case: another key may say another thing to them. */
static gboolean has_only(const json_t *object, const char *const *keys)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        if (!g_strv_contains(keys, key)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* An image of Ingot's has an object for its os, the distribution, or none where its disk has no system that is known.
 */
static gboolean is_os_of(const char *os, const json_t *config)
{
    const json_t *said = json_object_get(config, "os");
    const char *word = json_string_value(said);
    return os == NULL ? said == NULL : strcmp(os, word == NULL ? USUAL_OS : word) == 0;
}

/* An image that says nothing of an architecture, as an artifact, has no platform. */
static gboolean is_platform_of(const json_t *platform, const json_t *config)
{
    static const char *const keys[] = {"architecture", "os", "variant", NULL};
    const char *architecture = get(config, "architecture"), *variant = get(platform, "variant");
    if (platform == NULL || architecture == NULL) {
        return platform == NULL && architecture == NULL;
    }
    return has_only(platform, keys) && g_strcmp0(get(platform, "architecture"), architecture) == 0 &&
           is_os_of(get(platform, "os"), config) &&
           (variant == NULL || g_strcmp0(variant, get(config, "variant")) == 0);
}

static gboolean is_entry_of(const json_t *entry, const Grown *image)
{
    static const char *const keys[] = {"mediaType", "digest", "size", "artifactType", "platform", "annotations", NULL};
    const json_t *size = json_object_get(entry, "size");
    return has_only(entry, keys) && g_strcmp0(get(entry, "digest"), image->digest) == 0 &&
           g_strcmp0(get(entry, "mediaType"), image->type) == 0 && json_is_integer(size) &&
           json_integer_value(size) == (json_int_t)image->size &&
           g_strcmp0(get(entry, "artifactType"), get(image->root, "artifactType")) == 0 &&
           is_platform_of(json_object_get(entry, "platform"), image->config);
}

static gboolean begins_with(const json_t *entries, const json_t *before)
{
    size_t count = json_array_size(before);
    gboolean same = json_array_size(entries) > count;
    for (size_t i = 0; same && i < count; i++) {
        same = json_equal(json_array_get(entries, i), json_array_get(before, i));
    }
    return same;
}

gboolean growth_is_of(const json_t *index, const Grown *before)
{
    static const char *const keys[] = {"schemaVersion", "mediaType", "artifactType", "manifests", "subject",
                                       "annotations",   NULL};
    const json_t *entries = json_object_get(index, "manifests");
    if (!has_only(index, keys)) {
        return FALSE;
    }
    if (growth_is_index(before->type)) {
        return begins_with(entries, json_object_get(before->root, "manifests"));
    }
    return json_array_size(entries) > 1 && is_entry_of(json_array_get(entries, 0), before);
}

/* --- in the storage --- */

static json_t *read_config(Storage *storage, const char *name, const json_t *root)
{
    const char *text = get(json_object_get(root, "config"), "digest");
    IngotDigest digest;
    g_autoptr(StorageBlob) blob = text != NULL && storage_digest(storage, text, &digest, NULL)
                                      ? storage_blob(storage, name, &digest, NULL)
                                      : NULL;
    gsize size = blob == NULL ? 0 : (gsize)MIN(storage_blob_size(blob), CONFIG_MAX + 1);
    g_autofree char *bytes = g_malloc(size + 1);
    gsize room = INGOT_MANIFEST_VALUES;
    return blob != NULL && size <= CONFIG_MAX && storage_blob_read_all(blob, 0, bytes, size, NULL)
               ? ingot_json_parse_within(bytes, size, name, &room, NULL)
               : NULL;
}

gboolean growth_find(Storage *storage, const char *name, const StorageManifest *manifest, const IngotDigest *before)
{
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes =
        strcmp(manifest->type, GROWTH_TYPE) != 0 ? NULL : storage_manifest(storage, name, before, &type, NULL);
    if (bytes == NULL) {
        return FALSE;
    }
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);
    g_autofree char *digest = ingot_digest_to_text(before);
    g_autoptr(json_t) index = manifest_parse(manifest->data, manifest->size, name, NULL);
    g_autoptr(json_t) root = index == NULL ? NULL : manifest_parse(data, size, name, NULL);
    g_autoptr(json_t) config = root == NULL ? NULL : read_config(storage, name, root);
    return root != NULL && growth_is_of(index, &(Grown){digest, size, type, root, config});
}
