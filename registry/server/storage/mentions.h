/* What a manifest names and needs, whatever its kind: the config, layers and blobs of an image or an artifact, the
 * manifests of an index, the fsLayers of Docker's first kind. What is named here is never collected while the manifest
 * is kept, so every kind that is taken must be read here. */
#pragma once

#include <ingot/digest.h>
#include <ingot/json.h>

typedef struct {
    IngotDigest digest;
    guint64 size;      /* bytes, as the manifest says */
    gboolean sized;    /* whether it says so */
    gboolean manifest; /* it is one itself: an entry of an index with a manifest's media type */
} Mention;

/* GArray of Mention; free it. NULL: it is malformed, or a descriptor names no SHA-256 digest. A layer with urls lies
 * elsewhere (image-spec, "Non-Distributable Layers"), and a subject may come later, or never: neither is among them. */
GArray *mentions_read(const json_t *manifest);
