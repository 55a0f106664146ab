/* libext2fs's view of a disk that an NBD server holds: open a file system with the server's URI as its name, and
 * "offset=BYTES" as its options. */
#pragma once

#include <ext2fs/ext2fs.h>

extern io_manager channel_nbd_manager;
