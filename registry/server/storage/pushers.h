/* Pushers: who has brought an image to a repository, whose approval of it is no second person's. Each user who has
 * pushed it when it was not there, or was there otherwise (as another type, or from an upstream), is one of them, also
 * after it was removed. Thread safe. */
#pragma once

#include "server/storage/storage.h"

/* Their names (free them): none where nobody is known, as of what came from an upstream, or while the registry had no
 * users. */
char **storage_pushers(Storage *storage, const char *name, const IngotDigest *image, GError **error);
