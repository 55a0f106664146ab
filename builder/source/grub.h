/* GRUB without an installation: its images are made on the build host and put where firmware looks for them.
 *
 * Both images know nothing but the root file system's UUID and read /boot/grub/grub.cfg there, so the tree needs no
 * GRUB package, and a new kernel no update of GRUB. */
#pragma once

#include <glib.h>

typedef struct {
    const char *disk;               /* the disk's file, its partition table written */
    const char *workdir;            /* for what is made on the way */
    const char *root_uuid;          /* of the file system that has /boot/grub */
    gint64 time;                    /* seconds since 1970, of the ESP's files */
    guint64 bios_offset, bios_size; /* the BIOS boot partition, bytes */
    guint64 esp_offset, esp_size;   /* the EFI system partition, bytes */
    guint32 esp_serial;             /* its volume id */
} GrubOptions;

gboolean grub_write_bios(const GrubOptions *options, GError **error);
gboolean grub_write_uefi(const GrubOptions *options, GError **error);

/* The first sector that a BIOS loads and core's own first sector are told where core lies. Both as GRUB 2 defines them:
 * boot.img keeps the sector number at 0x5c, core.img's first sector a list of (start, count, segment) that ends at its
 * last byte. core is padded to whole sectors. */
gboolean grub_patch(guint8 *boot, gsize boot_size, GByteArray *core, guint64 sector, GError **error);
