/* Where a simple disk's one system is. */
#pragma once

#include <ingot/nbd.h>

/* *offset: the first byte of the only partition that is neither for booting (BIOS boot, EFI system) nor swap; 0 where
 * there is none or more than one, or no partition table that sfdisk reads. */
gboolean partition_find(IngotNbd *disk, const char *workdir, guint64 *offset, GError **error);
