/* Pulling through: what a registry does not have it gets from another one, its upstream, when it is first asked for.
 *
 * A tag is looked up there each time, so that it is never older than there; where the upstream can't be reached, what
 * is here is answered. Blobs and manifests by digest come once. Two that ask for the same wait for one copy. Thread
 * safe. */
#pragma once

#include "server/storage/storage.h"

typedef struct Through Through;

/* host: HOST[:PORT] of the upstream. */
Through *through_new(Storage *storage, const char *host);
void through_free(Through *through);

/* Each sees to it that what is asked for is here, if the upstream has it; what goes wrong is logged. through may be
 * NULL: there is no upstream. */
void through_manifest(Through *through, const char *name, const char *reference);
void through_blob(Through *through, const char *name, const IngotDigest *digest);
void through_referrers(Through *through, const char *name, const IngotDigest *subject);
