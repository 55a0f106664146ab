/* A drive: a file that the guest sees as a disk or as some medium, and the format that this file has.
 *
 * Invariant: a drive's format is said by whoever made the file. Neither QEMU nor qemu-img ever finds it out from the
 * bytes, since a guest or a peer may have written them: a raw disk that begins like a qcow2 with a backing file would
 * show that file of the host to the guest. */
#pragma once

#include <glib.h>

typedef enum {
    DRIVE_DISK,   /* may be written; the guest sees virtio disks in the order of the list: vda, vdb, … */
    DRIVE_SEED,   /* a read-only virtio disk behind all others: what cloud-init reads */
    DRIVE_CDROM,  /* read-only, on the SATA controller: six at most */
    DRIVE_FLOPPY, /* read-only: two at most */
    DRIVE_ROLES   /* how many there are */
} DriveRole;

typedef struct {
    const char *path;   /* absolute */
    const char *format; /* "raw", "qcow2", … as QEMU calls it */
    DriveRole role;
    gboolean snapshot; /* of a disk: what is written to it is thrown away with the machine's folder */
} MachineDrive;

/* The drive's name in QEMU's block graph, by its place in the list of drives. Free it. */
char *drive_node(guint index);
/* Appends QEMU's options for all drives (of MachineDrive). */
void drives_add_arguments(GPtrArray *argv, const GArray *drives);
/* A comma ends a value in QEMU's options, two stand for one. Free it. */
char *drive_escape(const char *path);
