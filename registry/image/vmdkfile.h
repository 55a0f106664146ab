/* A VMDK's file: the whole disk, with a descriptor among its first sectors; a descriptor alone, which names extents; or
 * such an extent. */
#pragma once

#include "image/reader.h"
#include "image/vmdktext.h"

/* GArray of VmdkExtent, empty for a disk that is in one file; free it. *parent: what the disk stands on, a new string,
 * else NULL. Any file that QEMU does not open as the disk it means is INVALID. */
GArray *vmdk_file_extents(const Reader *reader, char **parent, GError **error);

/* Whether the extent's file, in that folder, is there, holds it, and names no further files; `disk` names the disk in
 * errors. */
gboolean vmdk_file_check_extent(const char *disk, const char *folder, const VmdkExtent *extent, GError **error);
