/* Releasing a version: from then on its tag names what its boxes became, one image, or an index of them, and the
 * catalogue has it. A version that is released gets further boxes at the end of its index; none that it has is changed.
 *
 * Until then what a box became is named by a tag of its own, "unreleased-VERSION-PROVIDER-ARCHITECTURE", which keeps
 * it. */
#pragma once

#include "server/boxes/boxchange.h"

/* INVALID: a box lacks, or could not be taken in, or what the version names does not say for which architecture it is,
 * or two images would be one box of the catalogue's. INTERRUPTED: a box is being taken in. EXISTS: whoever has an image
 * by the version would get another one. DENIED: what it names is withheld. */
gboolean box_release(Storage *storage, const StorageActor *actor, const char *name, const char *version,
                     GError **error);
/* The same with the boxes that are ready; one that lacks, or is being taken in, is released when it has come.
 * NOT_FOUND, too: the version is gone (box_is_gone). */
gboolean box_release_ready(Storage *storage, const StorageActor *actor, const char *name, const char *version,
                           GError **error);
/* Whether a box was released with the version, and its tag has been removed since: then it gets no further ones. */
gboolean box_is_gone(Storage *storage, const char *name, const char *version, const BoxRecords *records);
/* Whether a box of the version is being taken in; provider NULL: of any. */
gboolean box_is_coming(const BoxRecords *records, const char *version, const char *provider);
gboolean box_provider_is_coming(const json_t *body);

/* Names the image by its box's tag until the release. */
gboolean box_draft(Storage *storage, const StorageActor *actor, const char *name, const BoxProviderKey *key,
                   const IngotDigest *image, GError **error);
/* Whether there is that tag. */
gboolean box_is_draft(Storage *storage, const char *name, const BoxProviderKey *key);
/* Takes that tag away; it need not be there. */
gboolean box_draft_drop(Storage *storage, const StorageActor *actor, const char *name, const BoxProviderKey *key,
                        GError **error);
