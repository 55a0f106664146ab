/* The names on an EFI partition, which FAT holds: read by mtools from a passing copy, without a mount. */
#pragma once

#include "system/partition.h"

/* GPtrArray of paths from the partition's root ("/EFI/BOOT"), folders and files; NULL on failure. What mtools does not
 * take for FAT has no names. */
GPtrArray *esp_names(IngotNbd *disk, const PartitionRange *efi, const char *workdir, GError **error);
