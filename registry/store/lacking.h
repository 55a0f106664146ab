/* What a registry has attached to an image and a pull could not have, and the image's own layers after its disk, which
 * no pull fetches: so that a push does not pass for whole, and that nobody takes these layers for lost. Kept
 * beside the image, for as long as its manifest is there, until a pull has had all of it.
 *
 * unfetched/HEX is for the image of that digest: a JSON array of {"digest": …, "problem": …}, without a digest where it
 * was the list that could not be had; "signature" is true where it is a signature of the image, or may be, and "layer"
 * for one of its layers. It is a note: one that is damaged
 * or can't be written is as if there were none.
 */
#pragma once

#include "store/layout.h"

#define LACKING_FOLDER "unfetched"

/* What is attached; an empty array: all of it came. */
void lacking_keep(const IngotStore *store, const IngotDigest *image, const json_t *list);
/* An array, which is empty where nothing attached is lacking. */
json_t *lacking_load(const IngotStore *store, const IngotDigest *image);
/* Notes those layers of the image's manifest, behind the two of each disk, that are not in the store. */
void lacking_keep_layers(IngotStore *store, const IngotDigest *image, const json_t *manifest, guint disks);
/* The layers that are noted and still not there, as lacking_load has what is attached. */
json_t *lacking_load_layers(IngotStore *store, const IngotDigest *image);
gboolean lacking_is_layer(const json_t *layers, const char *digest);
void lacking_drop(const IngotStore *store, const IngotDigest *image);
