/* The local store: an OCI image layout folder (image-spec 1.1, "Image Layout") that other OCI tools read and write too.
 *
 * Invariants: a blob under blobs/sha256/ is whole and has the digest of its name; index.json names only manifests whose
 * blobs are all there (but, for a moment, of an image that goes from a full disk). Blobs are written to tmp/ and
 * renamed; index.json is replaced as a whole, so that who reads needs no lock. Several processes may use one store at
 * once: a blob that a handle has put or found by ingot_store_hold is not removed by another until ingot_store_tag has
 * named it or the handle is freed. */
#pragma once

#include <ingot/digest.h>
#include <ingot/disk.h>
#include <ingot/manifest.h>
#include <ingot/packer.h>
#include <ingot/reference.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

typedef struct IngotStore IngotStore;

/* Opens the store, making it where it is missing; sweeps half-written blobs of ended processes (but for partial
 * downloads, which resume). */
IngotStore *ingot_store_open(const char *path, GError **error);
/* The same without making it: for whoever reads. A store that is not there has no images; the first write makes it. */
IngotStore *ingot_store_open_lazy(const char *path);
void ingot_store_free(IngotStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotStore, ingot_store_free)
const char *ingot_store_path(const IngotStore *store);

/* --- blobs --- */
gboolean ingot_store_has(IngotStore *store, const IngotDigest *digest);
/* Whether the blob is there, and stays: for whoever is about to name an image that needs it, or to read it for long. */
gboolean ingot_store_hold(IngotStore *store, const IngotDigest *digest);
char *ingot_store_blob_path(IngotStore *store, const IngotDigest *digest); /* free it */
/* The blob's bytes, at most limit, checked against the digest. */
GBytes *ingot_store_read(IngotStore *store, const IngotDigest *digest, gsize limit, GError **error);
/* Puts bytes as a blob; one that is damaged is replaced. */
gboolean ingot_store_put(IngotStore *store, const void *data, gsize size, IngotDescriptor *out, GError **error);
/* Packs a disk into a blob of the store, and keeps its frames' digests beside it. Frames that an earlier pack has made
 * there are taken from it. */
IngotPacked *ingot_store_pack(IngotStore *store, IngotBlocks *blocks, const IngotPackOptions *options, GError **error);

/* --- images --- */
typedef struct {
    char *name;  /* "team/web", "127.0.0.1:5000/team/web" for what was pulled */
    char *tag;   /* "1.0.0"; NULL: by digest alone */
    char *index; /* "sha256:…" of the OCI index by which it was pulled, which tag NULL stands for; NULL: its own */
    char *architecture; /* as the row says it, where a name has an image for each ("arm64"); NULL: it does not */
    IngotDescriptor manifest;
    gboolean former; /* another has the name now; tag is NULL */
} IngotStoreEntry;
void ingot_store_entry_free(IngotStoreEntry *entry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotStoreEntry, ingot_store_entry_free)

/* All names, ordered by name, then version: GPtrArray of IngotStoreEntry. */
GPtrArray *ingot_store_list(IngotStore *store, GError **error);
/* The images that lost their last name to another, as docker's <none>: they are there until ingot_store_collect removes
 * them, so that who has pinned one by its digest finds it. */
GPtrArray *ingot_store_list_former(IngotStore *store, GError **error);
/* What a reference names: HOST/NAME is looked up as a name. Without a tag the highest version (reference.h). A digest,
 * of the image or of the OCI index by which it was pulled, goes before the tag; sha256:HEX alone is an image of any
 * name, also by its first 12 digits or more where they are one image's (else INVALID). NOT_FOUND suggests. */
IngotStoreEntry *ingot_store_find(IngotStore *store, const IngotReference *reference, GError **error);
/* The same for an architecture (NULL, and above: this machine's). It counts only where a name has several images, as in
 * a copy of what `ingot publish` wrote; INVALID lists them where it does not say which. */
IngotStoreEntry *ingot_store_find_for(IngotStore *store, const IngotReference *reference, const char *architecture,
                                      GError **error);
/* Points NAME:TAG at a manifest whose blobs are all in the store (else NOT_FOUND). What the name pointed at before,
 * if it has no other, stays without one (ingot_store_list_former). By digest alone (tag NULL) an image has an entry of
 * its own. */
gboolean ingot_store_tag(IngotStore *store, const char *name, const char *tag, const IngotDescriptor *manifest,
                         GError **error);
/* What a removal has done. */
typedef struct {
    guint64 freed; /* bytes */
    guint unread;  /* attachments and replaced images that can't be read, and were passed over */
} IngotRemoval;
/* Removes a name, and every blob that no name and no attachment reaches any more. removal may be NULL. Where another
 * image that has a name can't be read, it can't be told what that needs: the name goes, the blobs stay, and that is an
 * error. */
gboolean ingot_store_remove(IngotStore *store, const IngotStoreEntry *entry, IngotRemoval *removal, GError **error);

/* What a collection has removed. */
typedef struct {
    guint images;   /* that had lost their names */
    guint blobs;    /* that nothing named */
    guint partials; /* unfinished downloads that nobody was busy with */
    guint held;     /* that another process is busy with: they stay */
    guint unread;   /* attachments that can't be read, and were passed over */
    guint64 freed;  /* bytes */
} IngotGarbage;
/* Removes all that nothing names: images that lost their names, what killed commands have left, downloads that were not
 * gone on with. An image that has a name and can't be read is an error, and nothing is removed. */
gboolean ingot_store_collect(IngotStore *store, IngotGarbage *garbage, GError **error);

/* What can be brought back where index.json is damaged, or gone though there are blobs. */
typedef struct {
    char *problem; /* NULL: it is whole, and nothing is to be done */
    guint names;   /* known from its rows, or from the last good one, which is kept beside it */
    guint images;  /* that are whole, but that nothing names: they are called recovered:HEX */
} IngotStoreRecovery;
void ingot_store_recovery_clear(IngotStoreRecovery *recovery);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(IngotStoreRecovery, ingot_store_recovery_clear)
/* Only looks. */
gboolean ingot_store_look(IngotStore *store, IngotStoreRecovery *found, GError **error);
/* Makes index.json again; the damaged one stays as index.json.damaged-N. */
gboolean ingot_store_recover(IngotStore *store, IngotStoreRecovery *done, GError **error);

/* A blob that is missing or damaged. */
typedef struct {
    IngotStoreEntry *entry; /* of the image that needs it; NULL: it belongs to no image that is known */
    gboolean attached;      /* it is of what is attached to that image */
    char *problem;
} IngotStoreFault;
/* Reads every blob that an image of the store or an attachment needs: GPtrArray of IngotStoreFault. */
GPtrArray *ingot_store_check(IngotStore *store, GError **error);

/* A disk of an image in the store. */
typedef struct {
    IngotIndex *index;
    char *path;         /* of its blob */
    char *checked_path; /* where it is remembered that it was found right: ingot_image_disk */
} IngotImageDisk;

/* An image, open for reading. */
typedef struct {
    IngotStoreEntry *entry;
    IngotManifest *manifest;
    json_t *config;
    GArray *disks; /* of IngotImageDisk, as many and in the order as the manifest has them */
} IngotImage;
static inline const IngotImageDisk *ingot_image_part(const IngotImage *image, guint i)
{
    return &g_array_index(image->disks, IngotImageDisk, i);
}
/* Bytes of its disks as a machine sees them. */
guint64 ingot_image_size(const IngotImage *image);
/* NOT_FOUND, too, where one of its blobs has gone, or not all of its disk is there. */
IngotImage *ingot_store_image(IngotStore *store, const IngotReference *reference, GError **error);
/* The same by ingot_store_find_for. */
IngotImage *ingot_store_image_for(IngotStore *store, const IngotReference *reference, const char *architecture,
                                  GError **error);
/* The image of a reference's digest, whatever its name points at by now; NOT_FOUND where a blob of it is not there. */
IngotImage *ingot_store_image_by_digest(IngotStore *store, const IngotReference *reference, GError **error);
void ingot_image_free(IngotImage *image);
/* Its disks, joined where there are several (disk.h), which remember what was found right of them before. */
IngotDisk *ingot_image_disk(const IngotImage *image, GError **error);
/* The disk of an image that has one; INVALID: it has several. */
IngotDisk *ingot_image_only_disk(const IngotImage *image, GError **error);
/* Once all of a disk was read: remembers that it is right, where the store can be written. */
void ingot_image_remember(const IngotImage *image, IngotDisk *disk);
/* Holds the image's blobs; FALSE: one has gone. */
gboolean ingot_store_hold_image(IngotStore *store, const IngotImage *image);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotImage, ingot_image_free)

/* A disk blob that is in the store, and its index. */
typedef struct {
    IngotDescriptor blob;
    IngotIndex *index;
} IngotPackedDisk;
/* Writes config, indexes and manifest of disks, and names the image (tag NULL: by digest; name NULL: not yet,
 * ingot_store_tag does it once all is there). The config has as many disks (ingot_config_add_disk). annotations may be
 * NULL. *manifest receives its descriptor. */
gboolean ingot_store_add_image(IngotStore *store, const char *name, const char *tag, json_t *config,
                               json_t *annotations, const IngotPackedDisk *disks, guint count,
                               IngotDescriptor *manifest, GError **error);
/* Attaches a blob to an image, named or not yet (a manifest with a subject, listed in index.json without a name). */
gboolean ingot_store_attach(IngotStore *store, const IngotDescriptor *subject, const char *artifact_type,
                            const char *media_type, const void *data, gsize size, GError **error);
/* The attachments of a manifest, also those that are damaged: GPtrArray of IngotDescriptor (g_free'd). */
GPtrArray *ingot_store_attachments(IngotStore *store, const IngotDescriptor *subject, GError **error);
/* Bytes of the first blob of an attachment by its artifact type, or NULL with NOT_FOUND. */
GBytes *ingot_store_attached(IngotStore *store, const IngotDescriptor *subject, const char *artifact_type,
                             GError **error);

#pragma GCC visibility pop
G_END_DECLS
