/* Partition tables and FAT: the input is a disk's first bytes. Whatever they say, the look at them ends, and no byte
 * beyond the disk is asked for. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "image/bootable.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    Bootable bootable;
    int fd = memfd_create("bootable", MFD_CLOEXEC);
    g_assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    g_autoptr(IngotBlocks) blocks = ingot_blocks_open(path, "raw", &error);
    close(fd);
    g_assert_no_error(error);
    g_assert(bootable_look(blocks, &bootable, &error));
    g_assert_no_error(error);
    g_assert(bootable.architecture == NULL || bootable.uefi);
    return 0;
}
