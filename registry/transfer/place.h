/* Where an image and what is attached to it lie: in a store, or in a registry under a name. */
#pragma once

#include <ingot/remote.h>
#include <ingot/store.h>

typedef struct {
    IngotStore *store; /* NULL: in the registry */
    IngotRemote *remote;
    const char *name;
} ImagePlace;

GBytes *image_place_manifest(const ImagePlace *place, const IngotDigest *digest, GError **error);
/* Of at most so many bytes, checked against the digest. */
GBytes *image_place_blob(const ImagePlace *place, const IngotDigest *digest, gsize most, GError **error);
