/* Manifests as they are given out, remembered: they are small, and asked for by every pull and every look whether a tag
 * has moved. Who has one in hand shares its bytes with all others that do.
 *
 * Invariant: what is remembered was read after the catalogue changed last, by whichever process. Thread safe. */
#pragma once

#include "base/json.h"
#include "server/storage/storage.h"

#define KEPT_MANIFESTS_MAX ((gsize)16 << 20) /* bytes of them */

typedef struct {
    gatomicrefcount references;
    IngotDigest digest;
    char *text; /* the digest in the algorithm that was asked for, or that the tag was put with */
    char *type; /* media type */
    GBytes *bytes;
    json_t *states; /* what was said of it (states.h); NULL: nothing */
} KeptManifest;
void kept_manifest_unref(KeptManifest *manifest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KeptManifest, kept_manifest_unref)

typedef struct KeptManifests KeptManifests;
KeptManifests *kept_manifests_new(void);
void kept_manifests_free(KeptManifests *kept);

/* A manifest of a repository by tag or digest; NOT_FOUND, INVALID: the reference is neither. CORRUPT: its bytes are
 * damaged (what was said of it is FAILED then). */
KeptManifest *kept_manifest_find(Storage *storage, const char *name, const char *reference, GError **error);
/* The same from memory alone; NULL: it has to be looked up. */
KeptManifest *kept_manifest_ready(Storage *storage, const char *name, const char *reference);
