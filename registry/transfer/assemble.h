/* A disk blob put together from frames that images of the store have, and from frames that are fetched.
 *
 * What is fetched is decoded and checked against the index while more comes; in the end the whole blob must have its
 * digest. Where it has not, all frames are checked, and the wrong ones are fetched, once. Only bytes that are wrong are
 * thrown away: a network that breaks, a full disk or a frame that is wrong again leaves what came for the next pull. */
#pragma once

#include <ingot/transfer.h>

#include "transfer/seeds.h"

/* The disk's blob has the size that follows from its index: the caller has looked. EXISTS: another process was at it,
 * and has ended; whether what is there is whole is for the caller to see. */
gboolean assemble_disk(IngotStore *store, IngotRemote *remote, const IngotReference *reference,
                       const SeedsWanted *wanted, IngotProgress *progress, guint64 *received, GError **error);
