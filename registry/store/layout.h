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

#include "base/file.h"
#include <ingot/store.h>

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

char *layout_path(const IngotStore *store, const char *name);
/* Makes the folder a store where it is not one yet: every function that writes begins with it, or with layout_lock. */
gboolean layout_ensure(const IngotStore *store, GError **error);
/* The exclusive lock of those who change index.json. */
IngotLock *layout_lock(const IngotStore *store, GError **error);
/* A store that is not made yet has no rows. */
json_t *layout_read(const IngotStore *store, GError **error);
/* The names of the blobs last: before index.json names them. */
gboolean layout_sync_blobs(const IngotStore *store, GError **error);
gboolean layout_write(const IngotStore *store, const json_t *index, GError **error);
/* Parts NAME:TAG; *tag is NULL where there is none. */
void layout_split_name(const char *text, char **name, char **tag);
/* One row of index.json; FALSE if it is damaged. name and tag are NULL where it has no name. */
gboolean layout_row(const json_t *row, IngotDescriptor *manifest, char **name, char **tag);
/* What the image of a row without a name was called; NULL: it is none that lost its name to another. */
const char *layout_former(const json_t *row);
/* The digest of the index by which the image of a row was pulled; NULL: by its own. */
const char *layout_index(const json_t *row);
json_t *layout_new_row(const char *name, const char *tag, const char *artifact_type, const IngotDescriptor *manifest);
IngotStoreEntry *layout_copy_entry(const IngotStoreEntry *entry);
/* ingot_store_tag; index_digest (may be NULL): an image without a tag is named by it instead of its own digest. */
gboolean layout_name(IngotStore *store, const char *name, const char *tag, const char *index_digest,
                     const IngotDescriptor *manifest, GError **error);
