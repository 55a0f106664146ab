/* Swap space: what a machine had in memory, secrets too, until it is wiped. */
#pragma once

#include "image/nbd.h"

#define SWAP_HEAD 65536 /* bytes that hold a header at every page size */

/* The size of the header in the first bytes of a swap space: one page, which names it (UUID, label, bad pages); 0 where
 * it is not one. A header that hibernation has marked is made an ordinary one again. */
gsize swap_header(void *head, gsize size);
/* Wipes the swap space that is [offset, offset + size) of the disk, all but its header. What has no header, such as
 * encrypted swap, is left as it is. */
gboolean swap_wipe(IngotNbd *disk, guint64 offset, guint64 size, GError **error);
