/* Files that were deleted, or being cut, while the system ran: ext4 keeps them on a list and finishes the work when it
 * is mounted the next time (Linux, Documentation/filesystems/ext4/orphan.rst). Here it is finished without a mount. */
#pragma once

#include <ext2fs/ext2fs.h>

/* Finishes it for all of the list; the bitmaps are read. A list that is damaged is an error. */
errcode_t orphans_finish(ext2_filsys fs);
