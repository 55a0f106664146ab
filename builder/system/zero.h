/* What of an unmounted ext2/3/4 no file holds any more: made zeros, without touching what is zero already. */
#pragma once

#include <ext2fs/ext2fs.h>

#include "image/nbd.h"

/* Makes zeros of what the disk holds data for in [from, to). */
gboolean zero_range(IngotNbd *disk, guint64 from, guint64 to, GError **error);
/* The free blocks of the file system at `offset` of the disk; its bitmaps are read. */
gboolean zero_free_blocks(ext2_filsys fs, IngotNbd *disk, guint64 offset, GError **error);
/* The journal but for its first block. Only for a file system that needs no recovery: nothing in it is read again. */
gboolean zero_journal(ext2_filsys fs, IngotNbd *disk, guint64 offset, GError **error);
/* The blocks of a swap file but for its header. A file that is not swap is left alone. Its blocks stay allocated, as
 * the kernel wants them, and are wiped where they lie: the kernel swaps past the file system, so that what the file
 * reads as (zeros, where its blocks count as unwritten) is not what is on the disk. */
gboolean zero_swap_file(ext2_filsys fs, ext2_ino_t ino, IngotNbd *disk, guint64 offset, GError **error);
