/* What a manifest names and needs: its config and layers, and the manifests of an index. */
#pragma once

#include <ingot/digest.h>
#include <ingot/json.h>

typedef struct {
    IngotDigest digest;
    guint64 size;      /* bytes, as the manifest says */
    gboolean manifest; /* it is one itself: an entry of an index with a manifest's media type */
} Mention;

/* GArray of Mention; free it. NULL: a descriptor names no SHA-256 digest. A layer with urls lies elsewhere (image-spec,
 * "Non-Distributable Layers"), and a subject may come later, or never: neither is among them. */
GArray *mentions_read(const json_t *manifest);
