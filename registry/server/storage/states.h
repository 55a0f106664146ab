/* States: what was said of an image of a repository, and of the images that it stands on, as records of the kind
 * STATE_RECORD. What their bodies mean is for others to know. */
#pragma once

#include <jansson.h>

#include "server/storage/storage.h"

#define STATE_RECORD "state"

/* {"own": BODY, "bases": [{"name", "digest", "body": BODY}…]}, without what there is not; NULL without an error:
 * nothing was said of any. Of a base that is said which any repository has said. */
json_t *storage_states(Storage *storage, const char *name, const IngotDigest *image, GError **error);
