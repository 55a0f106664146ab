/* Traits: what decides whether a view is of an image where an index names several: its architecture, and the formats
 * that it is meant for and can have.
 *
 * They are worked out of the image once and kept with it (storage_measure): of an index of 256 images, a request reads
 * no config and no disk's index again. Thread safe. */
#pragma once

#include "server/views/view.h"

typedef struct {
    char *architecture; /* view_architecture; NULL: the manifest is not an image of Ingot's */
    GPtrArray *formats; /* of const IngotFormat */
} ViewTraits;
void view_traits_free(ViewTraits *traits);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ViewTraits, view_traits_free)

/* Vagrant's word for it; NULL is "unknown", and a word that is not known is left as it is. */
const char *view_architecture(const char *word);
/* Of a manifest of the repository, withheld or not. NOT_FOUND: it, or what describes it, is not here; VIEW_ERROR_BUSY.
 */
ViewTraits *view_traits(Views *views, const char *name, const IngotDigest *manifest, GError **error);
/* format: NULL: any image does. */
gboolean view_traits_fit(const ViewTraits *traits, const IngotFormat *format);
