/* The names in a FAT file system, of which nothing else is read: an EFI system partition's programs. */
#pragma once

#include "image/smallreads.h"

/* Is told a file's path in capital letters, by its short names: "/EFI/BOOT/BOOTX64.EFI". */
typedef void (*FatFound)(const char *path, gpointer user);

/* All files at most three folders deep below /EFI in the file system from offset on. What is no FAT, or broken, has
 * none: FALSE is an error in reading the disk alone. */
gboolean fat_list_efi(SmallReads *disk, guint64 offset, guint64 size, FatFound found, gpointer user, GError **error);
