/* States: what was said of an image of a repository, and of the images that it stands on, as records of the kind
 * STATE_RECORD. What their bodies mean is for others to know. */
#pragma once

#include <jansson.h>

#include "server/storage/storage.h"

#define STATE_RECORD "state"

/* {"own": BODY, "others": [{"name", "body": BODY}…], "bases": [{"name", "digest", "body": BODY, "named": BOOL,
 * "mirror": BOOL}…]}, without what there is not; NULL without an error: nothing was said of any. own: what the image's
 * repository says of it; others: what each other one does that has said of the same image what may count elsewhere. Of
 * a base that is said which any repository has said, likewise, the nearest base first. Anybody who may push can have a
 * copy of a base in a repository of his own; named: this one is the image's own, or the one that the image which stands
 * on the base names for it, or it is not read yet which one that names (StorageBase); mirror: it is that behind a
 * prefix that the image's own repository has as well, as where both come from another registry. */
json_t *storage_states(Storage *storage, const char *name, const IngotDigest *image, GError **error);
/* The same without the bases. */
json_t *storage_states_of(Storage *storage, const char *name, const IngotDigest *image, GError **error);
