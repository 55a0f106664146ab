/* An image's manifest: OCI image-spec 1.1, "Image Manifest", with Ingot's artifact type and media types. */
#pragma once

#include <glib.h>
#include <ingot/digest.h>
#include <jansson.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

#define INGOT_TYPE_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define INGOT_TYPE_LIST "application/vnd.oci.image.index.v1+json" /* OCI image index: of several manifests */
#define INGOT_TYPE_IMAGE "application/vnd.ingot.image.v1"
#define INGOT_TYPE_CONFIG "application/vnd.ingot.config.v1+json"
#define INGOT_TYPE_INDEX "application/vnd.ingot.index.v1+zstd"
#define INGOT_TYPE_DISK "application/vnd.ingot.disk.v1+zstd"
#define INGOT_TYPE_EMPTY "application/vnd.oci.empty.v1+json"
#define INGOT_TYPE_JUNIT "application/vnd.ingot.test-report.v1+xml" /* artifactType of a test report by Ingot 0.1 */
#define INGOT_TYPE_SPDX "application/spdx+json"                     /* artifactType of an attached package list */
#define INGOT_DISKS_MAX 64u                                         /* of an image */
#define INGOT_MANIFEST_MAX (4u << 20)                               /* bytes */
#define INGOT_MANIFEST_VALUES (1u << 17)                            /* of JSON */
#define INGOT_CONFIG_VALUES (1u << 20)                              /* a build's may name every file that it made */

typedef struct {
    IngotDigest digest;
    guint64 size; /* bytes */
} IngotDescriptor;

/* A disk of an image, and the index of it: two layers, one after the other. */
typedef struct {
    IngotDescriptor index, disk;
} IngotDiskPair;

typedef struct {
    IngotDescriptor config;
    GArray *disks;       /* of IngotDiskPair, 1 to INGOT_DISKS_MAX */
    json_t *annotations; /* object, or NULL */
} IngotManifest;

/* One without disks yet; annotations may be NULL. */
IngotManifest *ingot_manifest_new(const IngotDescriptor *config, json_t *annotations);
void ingot_manifest_add_disk(IngotManifest *manifest, const IngotDescriptor *index, const IngotDescriptor *disk);
static inline const IngotDiskPair *ingot_manifest_disk(const IngotManifest *manifest, guint i)
{
    return &g_array_index(manifest->disks, IngotDiskPair, i);
}
/* Bytes of all disks as they are stored. */
guint64 ingot_manifest_stored(const IngotManifest *manifest);
/* FALSE and INVALID: the image `what` has several disks, and whoever asks takes one. */
gboolean ingot_manifest_has_one_disk(const IngotManifest *manifest, const char *what, GError **error);

/* The manifest's exact bytes (canonical JSON, so that equal parts give an equal digest). Of several disks, each layer
 * is annotated with its disk's number; of one, none is. */
char *ingot_manifest_to_text(const IngotManifest *manifest);
/* Refuses what is no Ingot image (INVALID, names the artifactType found) and a newer version of a media type (TOO_NEW).
 */
IngotManifest *ingot_manifest_parse(const void *data, gsize size, const char *what, GError **error);
void ingot_manifest_free(IngotManifest *manifest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotManifest, ingot_manifest_free)

/* A manifest that attaches one blob to another manifest (field `subject`), for the referrers API. Its config is the
 * empty descriptor, whose blob is "{}". */
char *ingot_attachment_to_text(const IngotDescriptor *subject, const char *artifact_type, const char *media_type,
                               const IngotDescriptor *blob);

/* An image's config: what INGOT_TYPE_CONFIG's JSON must hold. Checked on reading; builders add more keys.
 * {"version": 1, "architecture": "amd64", "os": {"id","version"}, "firmware": ["bios","uefi"], "disk": {"size"}, …}
 * An image of several disks has version 2, which a release that knows one disk refuses, and all of them in order:
 * {"version": 2, …, "disk": {"size"}, "disks": [{"size"}, {"size"}, …]}, where "disk" is the first one's. A disk may
 * say more: "bus", by which the machine has it ("virtio", "scsi", "sata", "ide", "nvme"), and "name". */
json_t *ingot_config_new(const char *architecture, guint64 disk_size);
/* One more disk, the last. */
void ingot_config_add_disk(json_t *config, guint64 disk_size);
json_t *ingot_config_parse(const void *data, gsize size, const char *what, GError **error);
/* How many disks it has, and what it says of one of them (the config's own; NULL: there are not so many). */
guint ingot_config_disks(const json_t *config);
json_t *ingot_config_disk(const json_t *config, guint i);
/* FALSE and CORRUPT: the manifest has another number of disks. */
gboolean ingot_config_fits(const json_t *config, const IngotManifest *manifest, const char *what, GError **error);

#pragma GCC visibility pop
G_END_DECLS
