/* What registries have said of an image of the store, when one was asked last: that it is deprecated, disabled or
 * revoked, or that a base is that it stands on. It is kept beside the image for as long as its manifest is there, so
 * that it counts without a network too.
 *
 * said/HEX is for the image of that digest: a JSON object {"registry", "said", "base"}, the last two as
 * image/lifecycle.h has them; "base" has the "name" and "digest" of that base too. It is a note: one that is damaged or
 * can't be written is as if nothing was said. */
#pragma once

#include "image/lifecycle.h"
#include "store/layout.h"

#define STANDING_FOLDER "said"

/* What HOST/NAME says now. Both NULL: nothing, any more: what another registry has said stays. */
void standing_keep(const IngotStore *store, const IngotDigest *image, const char *registry, const json_t *said,
                   const json_t *base);
/* NULL: nothing. */
json_t *standing_load(const IngotStore *store, const IngotDigest *image);
void standing_drop(const IngotStore *store, const IngotDigest *image);
