/* Whether the packs that the catalogue knows are there.
 *
 * Packs go with a disk, or are away for a while: not mounted yet, not restored yet. The pieces of a pack that is away
 * count as damaged, so that no push counts on them and each brings them again; once the pack is there again with its
 * size, they do not. Where nothing is there at all, or the folder can't be read, nothing is noted and an error tells.
 */
#pragma once

#include "server/storage/storage.h"

/* To be called when the folder is opened, and before garbage is collected. */
gboolean packcheck(Storage *storage, GError **error);
