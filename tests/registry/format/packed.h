/* A disk that is packed in a work folder of the test's own. */
#pragma once

#include <fcntl.h>
#include <ingot/disk.h>
#include <ingot/packer.h>

#include "base/file.h"

static IngotWorkdir *workdir;
static IngotPacked *packed;
static IngotDisk *disk;

static int packed_set_up(const void *bytes, gsize size)
{
    workdir = ingot_workdir_new(NULL);
    g_autofree char *raw = ingot_workdir_file(workdir, "disk.raw"), *blob = ingot_workdir_file(workdir, "blob");
    g_autoptr(IngotBlocks) blocks = NULL;
    if (!ingot_file_replace(raw, bytes, size, 0644, NULL) || (blocks = ingot_blocks_open(raw, NULL, NULL)) == NULL) {
        return -1;
    }
    g_auto(IngotFd) fd = ingot_file_open(blob, O_RDWR | O_CREAT, 0644, NULL);
    packed = ingot_pack(blocks, &(IngotPackOptions){0}, fd, blob, NULL);
    disk = packed == NULL ? NULL : ingot_disk_open(blob, packed->index, NULL);
    return disk == NULL ? -1 : 0;
}

static int packed_tear_down(void)
{
    ingot_disk_free(disk);
    ingot_packed_free(packed);
    ingot_workdir_free(workdir);
    return 0;
}
