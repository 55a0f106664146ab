#include "server/storage/growth.h"

#include <ingot/error.h>
#include <ingot/manifest.h>
#include <string.h>

#include "image/architecture.h"
#include "server/storage/mentions.h"

#define CONFIG_MAX (1u << 20) /* bytes; a larger config is nobody's but an attacker's */
#define DISK_OS "linux"       /* of the platform of each image of Ingot's, whatever system its disk has */
#define ZSTD "io.github.containers.compression.zstd" /* annotation: podman takes such an entry before its equals */

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

json_t *growth_platform(const json_t *root, const json_t *config)
{
    gboolean is_disk = g_strcmp0(get(root, "artifactType"), INGOT_TYPE_IMAGE) == 0;
    const char *architecture = get(config, "architecture"), *os = is_disk ? DISK_OS : get(config, "os");
    if (architecture == NULL || os == NULL) {
        return NULL;
    }
    json_t *platform = json_object();
    ingot_json_set_string(platform, "architecture", is_disk ? architecture_plain(architecture) : architecture);
    ingot_json_set_string(platform, "os", os);
    if (!is_disk) {
        ingot_json_set_string(platform, "variant", get(config, "variant"));
        ingot_json_set_string(platform, "os.version", get(config, "os.version"));
    }
    return platform;
}

/* Whether the first entry says of an image what the image says itself. Annotations lead some clients past an entry, as
 * past what Docker calls an attestation. */
static gboolean is_entry_of(const json_t *entry, const Grown *image)
{
    static const char *const noted[] = {ZSTD, NULL};
    static const char *const keys[] = {"mediaType", "digest", "size", "artifactType", "platform", "annotations", NULL};
    const json_t *size = json_object_get(entry, "size");
    g_autoptr(json_t) platform = growth_platform(image->root, image->config);
    return platform != NULL && has_only(entry, keys) && g_strcmp0(get(entry, "digest"), image->digest) == 0 &&
           g_strcmp0(get(entry, "mediaType"), image->type) == 0 && json_is_integer(size) &&
           json_integer_value(size) == (json_int_t)image->size &&
           g_strcmp0(get(entry, "artifactType"), get(image->root, "artifactType")) == 0 &&
           json_equal(json_object_get(entry, "platform"), platform) &&
           has_only(json_object_get(entry, "annotations"), noted);
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

/* --- what comes behind --- */

static gboolean is_readable_entry(const json_t *entry)
{
    static const char *const keys[] = {"mediaType", "digest",      "size", "artifactType",
                                       "platform",  "annotations", "urls", NULL};
    static const char *const words[] = {"architecture", "os", "variant", "os.version", "os.features", "features", NULL};
    return has_only(entry, keys) && has_only(json_object_get(entry, "platform"), words);
}

static gboolean is_zstd(const json_t *entry)
{
    return g_strcmp0(get(json_object_get(entry, "annotations"), ZSTD), "true") == 0;
}

/* Clients take the half of a platform that is not told for their own, and look at words in small letters. What has no
 * platform at all comes last with them. */
static gboolean is_told(const json_t *platform)
{
    const char *os = get(platform, "os"), *architecture = get(platform, "architecture");
    return os != NULL && *os != '\0' && architecture != NULL && *architecture != '\0';
}

/* Whether nobody who takes the one entry would take the other, which comes behind it, instead: it is for another
 * platform, or alike in all that clients choose by, of which they take the first. */
static gboolean may_follow(const json_t *entry, const json_t *before)
{
    const json_t *platform = json_object_get(entry, "platform"), *taken = json_object_get(before, "platform");
    const char *os = get(taken, "os"), *architecture = get(taken, "architecture");
    if (os == NULL || architecture == NULL || (platform != NULL && !is_told(platform))) {
        return FALSE;
    }
    if (platform == NULL || g_ascii_strcasecmp(os, get(platform, "os")) != 0 ||
        g_strcmp0(architecture_plain(architecture), architecture_plain(get(platform, "architecture"))) != 0) {
        return TRUE;
    }
    return json_equal(platform, taken) && g_strcmp0(get(entry, "artifactType"), get(before, "artifactType")) == 0 &&
           (is_zstd(before) || !is_zstd(entry));
}

/* Whether each entry from `count` on may come behind those before that. */
static gboolean may_all_follow(const json_t *entries, size_t count)
{
    for (size_t i = count; i < json_array_size(entries); i++) {
        const json_t *entry = json_array_get(entries, i);
        gboolean may = is_readable_entry(entry);
        for (size_t j = 0; may && j < count; j++) {
            may = may_follow(entry, json_array_get(entries, j));
        }
        if (!may) {
            return FALSE;
        }
    }
    return TRUE;
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
        const json_t *old = json_object_get(before->root, "manifests");
        return begins_with(entries, old) && may_all_follow(entries, json_array_size(old));
    }
    return json_array_size(entries) > 1 && is_entry_of(json_array_get(entries, 0), before) &&
           may_all_follow(entries, 1);
}

/* --- in the storage --- */

json_t *growth_config(Storage *storage, const char *name, const json_t *root, GError **error)
{
    const char *text = get(json_object_get(root, "config"), "digest");
    IngotDigest digest;
    if (text == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: its manifest names no config", name);
        return NULL;
    }
    g_autoptr(StorageBlob) blob =
        storage_digest(storage, text, &digest, error) ? storage_blob(storage, name, &digest, error) : NULL;
    if (blob == NULL) {
        return NULL;
    }
    if (storage_blob_size(blob) > CONFIG_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT, "%s: its config has more than %u bytes", name, CONFIG_MAX);
        return NULL;
    }
    gsize size = (gsize)storage_blob_size(blob), room = INGOT_MANIFEST_VALUES;
    g_autofree char *bytes = g_malloc(size + 1);
    return storage_blob_read_all(blob, 0, bytes, size, error) ? ingot_json_parse_within(bytes, size, name, &room, error)
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
    g_autoptr(json_t) config = root == NULL ? NULL : growth_config(storage, name, root, NULL);
    return root != NULL && growth_is_of(index, &(Grown){digest, size, type, root, config});
}
