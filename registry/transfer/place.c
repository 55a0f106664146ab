#include "transfer/place.h"

GBytes *image_place_manifest(const ImagePlace *place, const IngotDigest *digest, GError **error)
{
    if (place->store != NULL) {
        return ingot_store_read(place->store, digest, INGOT_MANIFEST_MAX, error);
    }
    IngotDescriptor descriptor;
    char text[INGOT_DIGEST_TEXT_SIZE];
    g_autofree char *type = NULL;
    ingot_digest_write_text(digest, text);
    return ingot_remote_get_manifest(place->remote, place->name, text, &descriptor, &type, error);
}

GBytes *image_place_blob(const ImagePlace *place, const IngotDigest *digest, gsize most, GError **error)
{
    return place->store != NULL ? ingot_store_read(place->store, digest, most, error)
                                : ingot_remote_get_blob(place->remote, place->name, digest, most, error);
}
