#include <ingot/error.h>
#include <ingot/manifest.h>
#include <string.h>

#include "base/json.h"

#define CONFIG_ONE_DISK 1 /* versions of the config */
#define CONFIG_VERSION 2
#define DISK_NUMBER "vnd.ingot.disk" /* annotation of a layer: which disk it belongs to */

static json_t *descriptor(const char *media_type, const IngotDescriptor *blob)
{
    char digest[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&blob->digest, digest);
    return json_pack("{s:s, s:s, s:I}", "mediaType", media_type, "digest", digest, "size", (json_int_t)blob->size);
}

IngotManifest *ingot_manifest_new(const IngotDescriptor *config, json_t *annotations)
{
    IngotManifest *manifest = g_new0(IngotManifest, 1);
    manifest->config = *config;
    manifest->annotations = json_incref(annotations);
    manifest->disks = g_array_new(FALSE, FALSE, sizeof(IngotDiskPair));
    return manifest;
}

void ingot_manifest_add_disk(IngotManifest *manifest, const IngotDescriptor *index, const IngotDescriptor *disk)
{
    const IngotDiskPair pair = {.index = *index, .disk = *disk};
    g_array_append_val(manifest->disks, pair);
}

guint64 ingot_manifest_stored(const IngotManifest *manifest)
{
    guint64 stored = 0;
    for (guint i = 0; i < manifest->disks->len; i++) {
        stored += ingot_manifest_disk(manifest, i)->disk.size;
    }
    return stored;
}

gboolean ingot_manifest_has_one_disk(const IngotManifest *manifest, const char *what, GError **error)
{
    if (manifest->disks->len > 1) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: an image of %u disks, where one of a single disk is needed", what, manifest->disks->len);
        return FALSE;
    }
    return TRUE;
}

/* number: of its disk; -1: the only one. */
static void add_layer(json_t *layers, const char *media_type, const IngotDescriptor *blob, gint number)
{
    json_t *layer = descriptor(media_type, blob);
    if (number >= 0) {
        g_autofree char *text = g_strdup_printf("%d", number);
        json_object_set_new(layer, "annotations", json_pack("{s:s}", DISK_NUMBER, text));
    }
    json_array_append_new(layers, layer);
}

static json_t *list_layers(const IngotManifest *manifest)
{
    json_t *layers = json_array();
    for (guint i = 0; i < manifest->disks->len; i++) {
        const IngotDiskPair *pair = ingot_manifest_disk(manifest, i);
        gint number = manifest->disks->len == 1 ? -1 : (gint)i;
        add_layer(layers, INGOT_TYPE_INDEX, &pair->index, number);
        add_layer(layers, INGOT_TYPE_DISK, &pair->disk, number);
    }
    return layers;
}

char *ingot_manifest_to_text(const IngotManifest *manifest)
{
    g_autoptr(json_t) root = json_pack(
        "{s:i, s:s, s:s, s:o, s:o}", "schemaVersion", 2, "mediaType", INGOT_TYPE_MANIFEST, "artifactType",
        INGOT_TYPE_IMAGE, "config", descriptor(INGOT_TYPE_CONFIG, &manifest->config), "layers", list_layers(manifest));
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

/* --- the layers --- */

static const char *number_of(const json_t *layer)
{
    return json_string_value(json_object_get(json_object_get(layer, "annotations"), DISK_NUMBER));
}

/* The layers of an image's only disk have no number, or 0; of several disks, each has its own. */
static gboolean check_number(const json_t *layer, guint number, gboolean only, const char *what, GError **error)
{
    const char *found = number_of(layer);
    g_autofree char *expected = g_strdup_printf("%u", number);
    if (found == NULL ? !only : strcmp(found, expected) != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "%s: a layer of disk %u is expected, but its annotation " DISK_NUMBER " is '%.20s'", what, number,
                    found == NULL ? "" : found);
        return FALSE;
    }
    return TRUE;
}

static gboolean read_pair(IngotManifest *manifest, const json_t *layers, gboolean only, const char *what,
                          GError **error)
{
    guint number = manifest->disks->len;
    const json_t *index = json_array_get(layers, 2 * (size_t)number);
    const json_t *disk = json_array_get(layers, 2 * (size_t)number + 1);
    IngotDiskPair pair;
    if (index == NULL || disk == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: index and disk are expected as layers", what);
        return FALSE;
    }
    if (!read_descriptor(index, INGOT_TYPE_INDEX, what, &pair.index, error) ||
        !read_descriptor(disk, INGOT_TYPE_DISK, what, &pair.disk, error) ||
        !check_number(index, number, only, what, error) || !check_number(disk, number, only, what, error)) {
        return FALSE;
    }
    ingot_manifest_add_disk(manifest, &pair.index, &pair.disk);
    return TRUE;
}

/* Layers behind the disks that have no disk's number are others' (a shared node's files). */
static gboolean read_disks(IngotManifest *manifest, const json_t *layers, const char *what, GError **error)
{
    gboolean only = number_of(json_array_get(layers, 2)) == NULL;
    do {
        if (manifest->disks->len == INGOT_DISKS_MAX) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT, "%s: an image of more than %u disks", what,
                        INGOT_DISKS_MAX);
            return FALSE;
        }
        if (!read_pair(manifest, layers, only, what, error)) {
            return FALSE;
        }
    } while (number_of(json_array_get(layers, 2 * (size_t)manifest->disks->len)) != NULL);
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
    IngotDescriptor config;
    json_t *object = ingot_json_get_object(root, "config", what, error);
    json_t *layers = object == NULL ? NULL : ingot_json_get_array(root, "layers", what, error);
    if (layers == NULL || !read_descriptor(object, INGOT_TYPE_CONFIG, what, &config, error)) {
        return NULL;
    }
    g_autoptr(IngotManifest) manifest = ingot_manifest_new(&config, NULL);
    return read_disks(manifest, layers, what, error) && read_annotations(root, manifest, what, error)
               ? g_steal_pointer(&manifest)
               : NULL;
}

void ingot_manifest_free(IngotManifest *manifest)
{
    if (manifest != NULL) {
        json_decref(manifest->annotations);
        g_array_unref(manifest->disks);
        g_free(manifest);
    }
}

/* --- the config --- */

json_t *ingot_config_new(const char *architecture, guint64 disk_size)
{
    return json_pack("{s:i, s:s, s:{s:I}}", "version", CONFIG_ONE_DISK, "architecture", architecture, "disk", "size",
                     (json_int_t)disk_size);
}

void ingot_config_add_disk(json_t *config, guint64 disk_size)
{
    json_t *disks = json_object_get(config, "disks");
    if (disks == NULL) {
        disks = json_pack("[o]", json_deep_copy(json_object_get(config, "disk")));
        json_object_set_new(config, "disks", disks);
        json_object_set_new(config, "version", json_integer(CONFIG_VERSION));
    }
    json_array_append_new(disks, json_pack("{s:I}", "size", (json_int_t)disk_size));
}

static gboolean has_one_disk(const json_t *config)
{
    return json_integer_value(json_object_get(config, "version")) <= CONFIG_ONE_DISK;
}

guint ingot_config_disks(const json_t *config)
{
    return has_one_disk(config) ? 1 : (guint)json_array_size(json_object_get(config, "disks"));
}

json_t *ingot_config_disk(const json_t *config, guint i)
{
    return !has_one_disk(config) ? json_array_get(json_object_get(config, "disks"), i)
           : i == 0              ? json_object_get(config, "disk")
                                 : NULL;
}

gboolean ingot_config_fits(const json_t *config, const IngotManifest *manifest, const char *what, GError **error)
{
    if (ingot_config_disks(config) != manifest->disks->len) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: its manifest has %u disks, its config %u", what,
                    manifest->disks->len, ingot_config_disks(config));
        return FALSE;
    }
    return TRUE;
}

/* size: the first one's. */
static gboolean check_disks(const json_t *config, guint64 size, const char *what, GError **error)
{
    json_t *disks = ingot_json_get_array(config, "disks", what, error);
    gsize count = json_array_size(disks);
    if (disks != NULL && (count == 0 || count > INGOT_DISKS_MAX)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: disks: 1 to %u are expected", what, INGOT_DISKS_MAX);
        return FALSE;
    }
    for (gsize i = 0; i < count; i++) {
        guint64 one;
        if (!ingot_json_get_size(json_array_get(disks, i), "size", what, &one, error)) {
            return FALSE;
        }
        if (i == 0 && one != size) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: disk and disks[0] have different sizes", what);
            return FALSE;
        }
    }
    return disks != NULL;
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
    return version <= CONFIG_ONE_DISK || check_disks(config, disk_size, what, error) ? g_steal_pointer(&config) : NULL;
}
