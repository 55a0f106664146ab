/* The half of ingot/blocks.h that only other rooms need: files that were looked at before they are opened. */
#pragma once

#include <ingot/blocks.h>

#include "base/unchanged.h"

/* As ingot_blocks_open_part: ingot_blocks_check_unchanged then finds as well what has changed between the moment when a
 * file was added to these and its opening. Keeps a reference. */
IngotBlocks *blocks_open_since(Unchanged *files, const IngotPart *part, const char *name, const char *format,
                               GError **error);

/* Adds the files that such a disk is read from: its own, and the extents of a VMDK. INVALID: a block device that is
 * mounted to be written. */
gboolean blocks_find_files(Unchanged *files, const IngotPart *part, const char *name, const char *format,
                           GError **error);
