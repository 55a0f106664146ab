/* What a manifest names and needs, whatever its kind: the config, layers and blobs of an image or an artifact, the
 * manifests of an index, the fsLayers of Docker's first kind. What is named here is never collected while the manifest
 * is kept, so every kind that is taken must be read here. */
#pragma once

#include <ingot/manifest.h>

#include "base/json.h"
#include "base/ocidigest.h"

typedef struct {
    IngotDigest digest; /* SHA-256; where the manifest names a SHA-512, its key until it is resolved */
    OciDigest named;    /* where the manifest names a SHA-512: as it does */
    guint64 size;       /* bytes, as the manifest says */
    gboolean sized;     /* whether it says so */
    gboolean manifest;  /* it is one itself: an entry of an index with a manifest's media type */
    gboolean open;      /* an entry of an index that may be one: of another type in JSON, or without a type */
    gboolean elsewhere; /* it has urls: it need not be here, and stays with its manifest where it is */
} Mention;

/* The manifest that the bytes are; CORRUPT: they are none; INVALID: it has more than INGOT_MANIFEST_VALUES. */
json_t *manifest_parse(const void *data, gsize size, const char *what, GError **error);
/* GArray of Mention; free it. NULL: it is malformed, or a descriptor has no digest. A layer with urls may lie elsewhere
 * alone (image-spec, "Non-Distributable Layers"), or be pushed all the same. A subject may come later, or never: it is
 * not among them. */
GArray *mentions_read(const json_t *manifest);
/* What kind of artifact the manifest is, as referrers are listed and filtered by it (distribution-spec, "Listing
 * Referrers"): its artifactType, else its config's media type. NULL: none. */
const char *manifest_artifact(const json_t *manifest);
/* The digest as the manifest has it. */
OciDigest mention_named(const Mention *mention);
/* The same as text; free it. */
char *mention_text(const Mention *mention);
