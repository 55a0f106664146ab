/* What the images of a version are boxes for. A catalogue has one box of a provider for an architecture: of two images
 * that are both, one would be listed, and the other could not be had. So the second is refused. */
#pragma once

#include "server/boxes/boxchange.h"
#include "server/boxes/boxrecords.h"

/* Whether none of the images (GArray of IngotDigest) is a box for the key's provider and architecture, but for the one
 * that the key's own box has become (NULL: it has become none). INVALID: one is. Records say of an image what it is; of
 * one that has none its config does. */
gboolean box_claims_check(Storage *storage, const char *name, const BoxRecords *records, const BoxProviderKey *key,
                          const IngotDigest *own, const GArray *images, GError **error);

/* The name by which a catalogue has the provider's boxes that are images here: VMware's programs share one. */
const char *box_claims_provider(const char *provider);
