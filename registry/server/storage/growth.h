/* The one move of a version: it grows. An OCI index takes the place of what the version named, which the index has as
 * its first entries, with more behind them: the image itself, or all entries of the index that it named, as they were
 * and in their order. Whoever took something by the version for its platform gets the same by it from then on. So an
 * image's entry says of its platform and its kind what the image says itself, and nothing comes behind an entry which
 * some client would take for it: one for the same os and architecture is alike in all that clients choose by, and
 * behind one of which no platform is told, which is taken where there is no other, nothing comes at all. Who names no
 * platform, and has another one than the image, gets what is there for it. */
#pragma once

#include "base/json.h"
#include "server/storage/storage.h"

#define GROWTH_TYPE INGOT_TYPE_LIST /* media type of what a version grows to */

/* What a version names: a manifest, or an index of several. */
typedef struct {
    const char *digest;   /* as text */
    guint64 size;         /* bytes */
    const char *type;     /* media type */
    const json_t *root;   /* the manifest itself */
    const json_t *config; /* of an image; NULL: it has none that is JSON, or is an index */
} Grown;

/* Whether a media type is an index's, of OCI or Docker. */
gboolean growth_is_index(const char *type);
/* Whether an index is a growth of that. */
gboolean growth_is_of(const json_t *index, const Grown *before);
/* The platform that an entry for an image has; NULL: the image does not say which. A disk of Ingot's is for linux and
 * an architecture by the word that clients ask for. root: its manifest. */
json_t *growth_platform(const json_t *root, const json_t *config);
/* The config that a manifest names; INVALID: it names none, or that is no JSON; LIMIT: it is too long. */
json_t *growth_config(Storage *storage, const char *name, const json_t *root, GError **error);
/* Whether a manifest that is put grows from one of the repository; FALSE, too, where that can't be read. */
gboolean growth_find(Storage *storage, const char *name, const StorageManifest *manifest, const IngotDigest *before);
