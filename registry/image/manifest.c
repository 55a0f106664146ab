#include <ingot/error.h>
#include <ingot/manifest.h>
#include <string.h>

#include "base/json.h"

#define CONFIG_VERSION 1

static json_t *descriptor(const char *media_type, const IngotDescriptor *blob)
{
    char digest[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&blob->digest, digest);
    return json_pack("{s:s, s:s, s:I}", "mediaType", media_type, "digest", digest, "size", (json_int_t)blob->size);
}

char *ingot_manifest_to_text(const IngotManifest *manifest)
{
    g_autoptr(json_t) root = json_pack(
        "{s:i, s:s, s:s, s:o, s:[o, o]}", "schemaVersion", 2, "mediaType", INGOT_TYPE_MANIFEST, "artifactType",
        INGOT_TYPE_IMAGE, "config", descriptor(INGOT_TYPE_CONFIG, &manifest->config), "layers",
        descriptor(INGOT_TYPE_INDEX, &manifest->index), descriptor(INGOT_TYPE_DISK, &manifest->disk));
    if (json_object_size(manifest->annotations) > 0) {
        json_object_set(root, "annotations", manifest->annotations);
    }
    return ingot_json_canonical(root);
}

char *ingot_attachment_to_text(const IngotDescriptor *subject, const char *artifact_type, const char *media_type,
                               const IngotDescriptor *blob)
{
    IngotDescriptor empty = {.size = 2};
    ingot_digest_of("{}", 2, &empty.digest);
    g_autoptr(json_t) root =
        json_pack("{s:i, s:s, s:s, s:o, s:[o], s:o}", "schemaVersion", 2, "mediaType", INGOT_TYPE_MANIFEST,
                  "artifactType", artifact_type, "config", descriptor(INGOT_TYPE_EMPTY, &empty), "layers",
                  descriptor(media_type, blob), "subject", descriptor(INGOT_TYPE_MANIFEST, subject));
    return ingot_json_canonical(root);
}

/* "application/vnd.ingot.disk.v2+zstd" where v1 is known is newer; anything else is no part of an image. */
static gboolean refuse_type(const char *type, const char *known, const char *what, GError **error)
{
    gsize kind = (gsize)(strstr(known, ".v1") - known) + 2;
    gboolean newer = strncmp(type, known, kind) == 0 && g_ascii_isdigit(type[kind]);
    g_set_error(error, INGOT_ERROR, newer ? INGOT_ERROR_TOO_NEW : INGOT_ERROR_CORRUPT,
                newer ? "%s: a part of type '%s' is newer than this Ingot knows ('%s')"
                      : "%s: a part of type '%s' where '%s' must be",
                what, type, known);
    return FALSE;
}

static gboolean read_descriptor(const json_t *object, const char *media_type, const char *what, IngotDescriptor *out,
                                GError **error)
{
    const char *type = ingot_json_get_string(object, "mediaType", what, error);
    const char *digest = type == NULL ? NULL : ingot_json_get_string(object, "digest", what, error);
    if (digest == NULL || !ingot_json_get_size(object, "size", what, &out->size, error)) {
        return FALSE;
    }
    if (strcmp(type, media_type) != 0) {
        return refuse_type(type, media_type, what, error);
    }
    g_autoptr(GError) problem = NULL;
    if (!ingot_digest_parse(digest, &out->digest, &problem)) { /* nobody typed it */
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: %s", what, problem->message);
        return FALSE;
    }
    return TRUE;
}

static gboolean check_kind(const json_t *root, const char *what, GError **error)
{
    const char *type = json_string_value(json_object_get(root, "artifactType"));
    if (type != NULL && strcmp(type, INGOT_TYPE_IMAGE) == 0) {
        return TRUE;
    }
    if (type != NULL && g_str_has_prefix(type, "application/vnd.ingot.image.v")) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_TOO_NEW, "%s: an image of type '%s' is newer than this Ingot knows",
                    what, type);
    } else {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: no Ingot image (its artifactType is '%s')", what,
                    type == NULL ? "" : type);
    }
    return FALSE;
}

static gboolean read_annotations(const json_t *root, IngotManifest *manifest, const char *what, GError **error)
{
    json_t *annotations = json_object_get(root, "annotations"), *value;
    const char *key;
    gboolean ok = annotations == NULL || json_is_object(annotations);
    json_object_foreach(annotations, key, value)
    {
        ok = ok && json_is_string(value);
    }
    if (!ok) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: annotations: an object of strings is expected", what);
        return FALSE;
    }
    manifest->annotations = json_incref(annotations);
    return TRUE;
}

IngotManifest *ingot_manifest_parse(const void *data, gsize size, const char *what, GError **error)
{
    if (size > INGOT_MANIFEST_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: a manifest of more than %u bytes", what,
                    INGOT_MANIFEST_MAX);
        return NULL;
    }
    gsize room = INGOT_MANIFEST_VALUES;
    g_autoptr(json_t) root = ingot_json_parse_within(data, size, what, &room, error);
    if (root == NULL || !check_kind(root, what, error)) {
        return NULL;
    }
    g_autoptr(IngotManifest) manifest = g_new0(IngotManifest, 1);
    json_t *config = ingot_json_get_object(root, "config", what, error);
    json_t *layers = config == NULL ? NULL : ingot_json_get_array(root, "layers", what, error);
    if (layers == NULL || !read_descriptor(config, INGOT_TYPE_CONFIG, what, &manifest->config, error)) {
        return NULL;
    }
    if (json_array_size(layers) < 2) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: index and disk are expected as layers", what);
        return NULL;
    }
    if (!read_descriptor(json_array_get(layers, 0), INGOT_TYPE_INDEX, what, &manifest->index, error) ||
        !read_descriptor(json_array_get(layers, 1), INGOT_TYPE_DISK, what, &manifest->disk, error)) {
        return NULL;
    }
    if (!read_annotations(root, manifest, what, error)) {
        return NULL;
    }
    return g_steal_pointer(&manifest);
}

void ingot_manifest_free(IngotManifest *manifest)
{
    if (manifest != NULL) {
        json_decref(manifest->annotations);
        g_free(manifest);
    }
}

json_t *ingot_config_new(const char *architecture, guint64 disk_size)
{
    return json_pack("{s:i, s:s, s:{s:I}}", "version", CONFIG_VERSION, "architecture", architecture, "disk", "size",
                     (json_int_t)disk_size);
}

json_t *ingot_config_parse(const void *data, gsize size, const char *what, GError **error)
{
    gsize room = INGOT_CONFIG_VALUES;
    g_autoptr(json_t) config = ingot_json_parse_within(data, size, what, &room, error);
    guint64 version, disk_size;
    if (config == NULL || !ingot_json_get_size(config, "version", what, &version, error)) {
        return NULL;
    }
    if (version > CONFIG_VERSION) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_TOO_NEW,
                    "%s: config version %" G_GUINT64_FORMAT " is newer than this Ingot knows (%d)", what, version,
                    CONFIG_VERSION);
        return NULL;
    }
    json_t *disk = ingot_json_get_object(config, "disk", what, error);
    if (disk == NULL || !ingot_json_get_size(disk, "size", what, &disk_size, error) ||
        ingot_json_get_string(config, "architecture", what, error) == NULL) {
        return NULL;
    }
    return g_steal_pointer(&config);
}
