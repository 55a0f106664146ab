/* What a disk can boot by, and on which processor, as its partitions and its EFI system partition's files tell. It is a
 * guess for disks of which nobody says it: what can't be told is FALSE, or NULL. */
#pragma once

#include <ingot/blocks.h>

typedef struct {
    gboolean uefi;            /* it has an EFI system partition with programs in it */
    gboolean bios;            /* it has what a BIOS starts: code in its first sector that is meant to run */
    const char *architecture; /* of the EFI programs, as architecture_word calls it, where they are of one */
} Bootable;

/* FALSE: the disk could not be read. */
gboolean bootable_look(IngotBlocks *blocks, Bootable *bootable, GError **error);
