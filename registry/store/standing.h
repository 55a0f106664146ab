/* What registries have said of an image of the store, when each was asked last: that it is deprecated, disabled or
 * revoked, or that a base is that it stands on. It is kept beside the image for as long as its manifest is there, so
 * that it counts without a network too. Each name of each registry has a word of its own, which no other replaces.
 *
 * said/HEX is for the image of that digest: a JSON object of {"said", "base"} by HOST/NAME, both as image/lifecycle.h
 * has them; "base" has the "name" and "digest" of that base too. A note with a text as its "registry" has an older
 * form: it is the one word of that HOST/NAME, until another one is kept. It is a note: one that is damaged or can't be
 * written is as if nothing was said. */
#pragma once

#include "image/lifecycle.h"
#include "store/layout.h"

#define STANDING_FOLDER "said"
#define STANDING_MOST 16u /* names whose words are kept: the strictest of them */

/* What HOST/NAME says now. Both NULL: nothing, any more: what others have said stays. */
void standing_keep(const IngotStore *store, const IngotDigest *image, const char *registry, const json_t *said,
                   const json_t *base);
/* The strictest that is said, as {"registry", "said", "base"}: whose word it is, that of the base where nothing is said
 * of the image itself. NULL: nothing. */
json_t *standing_load(const IngotStore *store, const IngotDigest *image);
void standing_drop(const IngotStore *store, const IngotDigest *image);
