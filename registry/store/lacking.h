/* What a registry has attached to an image and a pull could not have: so that a push does not pass for whole. Kept
 * beside the image, for as long as its manifest is there, until a pull has had all of it.
 *
 * unfetched/HEX is for the image of that digest: a JSON array of {"digest": …, "problem": …}, without a digest where it
 * was the list that could not be had. It is a note: one that is damaged or can't be written is as if there were none.
 */
#pragma once

#include "store/layout.h"

#define LACKING_FOLDER "unfetched"

/* An empty array drops the note. */
void lacking_keep(const IngotStore *store, const IngotDigest *image, const json_t *list);
/* An array, which is empty where nothing is lacking. */
json_t *lacking_load(const IngotStore *store, const IngotDigest *image);
void lacking_drop(const IngotStore *store, const IngotDigest *image);
