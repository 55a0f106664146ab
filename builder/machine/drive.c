#include "machine/drive.h"

/* Written like memory: a power cut takes the build anyway, and what is kept is fsynced by whoever keeps it. */
#define DISK_OPTIONS "discard=unmap,detect-zeroes=unmap,cache.no-flush=on"

char *drive_escape(const char *path)
{
    g_auto(GStrv) parts = g_strsplit(path, ",", -1);
    return g_strjoinv(",,", parts);
}

char *drive_node(guint index)
{
    return g_strdup_printf("drive%u", index);
}

/* The device that the guest sees. Each CD-ROM has a port of the SATA controller to itself. Free it. */
static char *drive_device(DriveRole role, const char *node, guint nth)
{
    switch (role) {
    case DRIVE_CDROM:
        return g_strdup_printf("ide-cd,drive=%s,bus=ide.%u", node, nth);
    case DRIVE_FLOPPY:
        return g_strdup_printf("floppy,drive=%s", node);
    default:
        return g_strdup_printf("virtio-blk-pci,drive=%s", node);
    }
}

static void drive_add_arguments(GPtrArray *argv, const MachineDrive *drive, guint index, guint nth)
{
    g_assert(drive->path != NULL && drive->format != NULL);
    g_autofree char *node = drive_node(index), *path = drive_escape(drive->path);
    g_ptr_array_add(argv, g_strdup("-blockdev"));
    g_ptr_array_add(argv, g_strdup_printf("driver=%s,node-name=%s,%s,file.driver=file,file.filename=%s", drive->format,
                                          node, drive->role == DRIVE_DISK ? DISK_OPTIONS : "read-only=on", path));
    if (drive->role == DRIVE_FLOPPY && nth == 0) { /* the board has no controller for it */
        g_ptr_array_add(argv, g_strdup("-device"));
        g_ptr_array_add(argv, g_strdup("isa-fdc"));
    }
    g_ptr_array_add(argv, g_strdup("-device"));
    g_ptr_array_add(argv, drive_device(drive->role, node, nth));
}

void drives_add_arguments(GPtrArray *argv, const GArray *drives)
{
    guint seen[DRIVE_ROLES] = {0};
    for (guint i = 0; i < drives->len; i++) {
        const MachineDrive *drive = &g_array_index(drives, MachineDrive, i);
        drive_add_arguments(argv, drive, i, seen[drive->role]++);
    }
}
