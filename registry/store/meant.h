/* What a reference means in the store, for reading (ingot_store_find), for removing, and for naming what it pulled.
 *
 * A digest goes before all else: NAME:TAG@DIGEST and NAME@DIGEST are the image of that digest, whether NAME has it
 * under that tag, under another or under none, and no tag moves by it. sha256:HEX alone, whole or by its first 12
 * digits and more, is an image of any name. What acts on names takes none that the reference does not say. */
#pragma once

#include <ingot/store.h>

/* The image to send, sign or verify: as ingot_store_find, but of a name that has several images (for as many
 * architectures) this machine's is none that was said: INVALID lists them. */
IngotStoreEntry *meant_image(IngotStore *store, const IngotReference *reference, GError **error);
/* The same, open. */
IngotImage *meant_image_open(IngotStore *store, const IngotReference *reference, GError **error);
/* The one name that is removed by this reference: NAME:TAG, which must have the digest if there is one; of a digest,
 * the entry by that digest alone, or the image that lost its name; of sha256:HEX alone, the only name of the image.
 * INVALID lists the names of an image that has others, and the images of a name that has several. */
IngotStoreEntry *meant_name(IngotStore *store, const IngotReference *reference, GError **error);
/* Names what was pulled by a digest, that of the manifest or of an OCI index with it: by that digest alone. */
gboolean meant_name_pulled(IngotStore *store, const char *name, const char *digest, const IngotDescriptor *manifest,
                           GError **error);
/* Names what was pulled for a tag: by that tag where it still names `before` (NULL: nothing) or this image already,
 * else, since another process has moved it, by its digest alone. */
gboolean meant_move_tag(IngotStore *store, const char *name, const char *tag, const IngotDigest *before,
                        const IngotDescriptor *manifest, GError **error);
/* Whether this very entry is among them: the name, as it is, with the image that it had. */
gboolean meant_is_among(const GPtrArray *entries, const IngotStoreEntry *entry);
/* Whether the store still has this very entry, with or without its name. */
gboolean meant_is_there(IngotStore *store, const IngotStoreEntry *entry);
