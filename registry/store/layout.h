/* The inside of the store that its files share: paths, the lock, and index.json as JSON. */
#pragma once

#include <ingot/file.h>
#include <ingot/store.h>

struct IngotStore {
    char *path;
};

/* The annotation that names a manifest in index.json, as image-spec has it and skopeo reads it. */
#define LAYOUT_NAME "org.opencontainers.image.ref.name"

char *layout_path(const IngotStore *store, const char *name);
/* Makes the folder a store where it is not one yet: every function that writes begins with it, or with layout_lock. */
gboolean layout_ensure(const IngotStore *store, GError **error);
/* The exclusive lock of those who change index.json. */
IngotLock *layout_lock(const IngotStore *store, GError **error);
/* A store that is not made yet has no rows. */
json_t *layout_read(const IngotStore *store, GError **error);
gboolean layout_write(const IngotStore *store, const json_t *index, GError **error);
/* One row of index.json; FALSE if it is damaged. name and tag are NULL where it has no name. */
gboolean layout_row(const json_t *row, IngotDescriptor *manifest, char **name, char **tag);
json_t *layout_new_row(const char *name, const char *tag, const char *artifact_type, const IngotDescriptor *manifest);
