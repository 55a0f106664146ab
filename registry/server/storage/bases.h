/* Bases: which image stands on which, by the digest that its manifest's annotation names
 * (org.opencontainers.image.base.digest). The graph is of the whole registry: what is built on an image of one
 * repository may be in another. It outlives an image that was removed, for as long as others stand on it. */
#pragma once

#include "base/json.h"
#include "server/storage/storage.h"

#define BASES_DEEP 64 /* images on top of one another */

/* The base that a manifest names. FALSE: it names none. */
gboolean manifest_base(const json_t *manifest, IngotDigest *base);
/* The repository that it names for it (org.opencontainers.image.base.name, without host, tag and digest); NULL: none.
 * Free it. */
char *manifest_base_name(const json_t *manifest);

typedef struct {
    IngotDigest digest;
    char *name;      /* the repository that the image which stands on it directly names for it; NULL: none */
    gboolean unread; /* an older version has noted the base, and which repository is named for it is not read yet */
} StorageBase;
/* GArray of StorageBase: what the image stands on, the nearest first. */
GArray *storage_bases(Storage *storage, const IngotDigest *image, GError **error);

typedef struct {
    char *name; /* of a repository that has it */
    IngotDigest digest;
    IngotDigest base; /* what it stands on directly */
    guint depth;      /* 1: it stands on the image itself */
    char **tags;      /* that name it there; ends with NULL */
} StorageDescendant;
/* GArray of StorageDescendant: all that stands on the image, in all repositories, the nearest first; at most `most` of
 * them. */
GArray *storage_descendants(Storage *storage, const IngotDigest *image, guint most, GError **error);

/* Reads the bases of all manifests that an older version has taken: once for a catalogue, by whoever keeps it up. FALSE
 * without an error: goes_on (may be NULL) said no. With an error: a manifest could not be read, or nothing could; all
 * others were, and the next call begins again. */
gboolean storage_read_bases(Storage *storage, gboolean (*goes_on)(gpointer user), gpointer user, GError **error);
