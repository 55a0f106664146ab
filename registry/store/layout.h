/* The inside of the store that its files share: paths, the lock, and index.json as JSON.
 *
 * Who adds blobs works against who removes them by two locks:
 *
 * .lock, exclusive: held for a moment by whoever changes index.json, gives a blob its name or removes one. Nobody waits
 * for anything else while holding it.
 *
 * A shared flock(2) on a blob's own file is a hold (hold.h). Whoever counts on a blob that no name reaches yet holds
 * it, from the moment in which the blob was found or put until ingot_store_tag has named it. Whoever removes a blob
 * needs an exclusive flock on it, and leaves it where that can't be had at once. So a removal never waits for a long
 * pull, and the holds of a killed process end with it. */
#pragma once

#include <ingot/store.h>

#include "base/file.h"

struct IngotStore {
    char *path;
    GMutex lock;      /* of holds */
    GPtrArray *holds; /* hold.c */
};

/* The annotation that names a manifest in index.json, as image-spec has it and skopeo reads it. */
#define LAYOUT_NAME "org.opencontainers.image.ref.name"

/* The annotation of an image that has lost its last name to another: what it was called. */
#define LAYOUT_FORMER "vnd.ingot.former-name"

/* The annotation of an image that is named by the digest of an OCI index, which it was chosen from: that digest. */
#define LAYOUT_INDEX "vnd.ingot.index"

/* The annotations of what is attached to an image: the digest of the image's manifest; and, where that is not told by
 * the attachment's own subject but by a tag beside the image's (cosign's sha256-HEX.sig), that tag. */
#define LAYOUT_SUBJECT "vnd.ingot.subject"
#define LAYOUT_BESIDE "vnd.ingot.tag-beside"
#define LAYOUT_BEFORE "vnd.ingot.tag-beside-before" /* it has named this one before */

char *layout_path(const IngotStore *store, const char *name);
/* FOLDER/HEX: where something is kept beside the blob of that digest. Free it. */
char *layout_note_path(const IngotStore *store, const char *folder, const IngotDigest *of);
/* Makes the folder a store where it is not one yet: every function that writes begins with it, or with layout_lock. */
gboolean layout_ensure(const IngotStore *store, GError **error);
/* The exclusive lock of those who change index.json. */
IngotLock *layout_lock(const IngotStore *store, GError **error);
/* The same of a store that is there, whatever has become of its index.json. */
IngotLock *layout_lock_as_it_is(const IngotStore *store, GError **error);
/* A store that is not made yet has no rows. CORRUPT where index.json is damaged, or is gone though there are blobs: an
 * empty store is none that lost its list. */
json_t *layout_load(const IngotStore *store, GError **error);
/* The same for whoever does not mend it: the error says who does. */
json_t *layout_read(const IngotStore *store, GError **error);
/* The index before the last change; empty where there is none that can be read. */
json_t *layout_read_last(const IngotStore *store);
json_t *layout_empty(void);
/* The names of the blobs last: before index.json names them. */
gboolean layout_sync_blobs(const IngotStore *store, GError **error);
/* The one that was there stays as index.json.last, where the file system can do that. */
gboolean layout_write(const IngotStore *store, const json_t *index, GError **error);
/* The same over one that is damaged, which must not become the last one. */
gboolean layout_mend(const IngotStore *store, const json_t *index, GError **error);
/* Parts NAME:TAG; *tag is NULL where there is none. */
void layout_split_name(const char *text, char **name, char **tag);
/* One row of index.json; FALSE if it is damaged. name and tag are NULL where it has no name. */
gboolean layout_row(const json_t *row, IngotDescriptor *manifest, char **name, char **tag);
/* What the image of a row without a name was called; NULL: it is none that lost its name to another. */
const char *layout_former(const json_t *row);
/* The architecture that a row says, or NULL. */
const char *layout_architecture(const json_t *row);
/* The digest of the index by which the image of a row was pulled; NULL: by its own. */
const char *layout_index(const json_t *row);
IngotStoreEntry *layout_copy_entry(const IngotStoreEntry *entry);
/* ingot_store_tag; index_digest (may be NULL): an image without a tag is named by it instead of its own digest. */
gboolean layout_name(IngotStore *store, const char *name, const char *tag, const char *index_digest,
                     const IngotDescriptor *manifest, GError **error);
/* ingot_store_tag, but only where NAME:TAG still names that image (before NULL: nothing), or the new one already;
 * *moved FALSE: it names another. */
gboolean layout_move_tag(IngotStore *store, const char *name, const char *tag, const IngotDigest *before,
                         const IngotDescriptor *manifest, gboolean *moved, GError **error);
/* The value of one of a row's annotations, or NULL. */
const char *layout_annotation(const json_t *row, const char *key);
/* A row without annotations; artifact_type may be NULL. */
json_t *layout_new_row(const char *media_type, const char *artifact_type, const IngotDescriptor *manifest);
void layout_annotate(json_t *row, const char *key, const char *value);
