/* A machine of UTM's (QEMU on a Mac) as its config.plist describes it: an XML property list. */
#pragma once

#include <glib.h>

typedef struct {
    char *file;      /* within the machine's folder Data */
    const char *bus; /* "virtio", "nvme", "ide", "scsi"; NULL: another, or not told */
} UtmDisk;

typedef struct {
    GPtrArray *disks;         /* of UtmDisk, in order, without CDs and the like */
    gboolean uefi, bios;      /* what it says that it boots by */
    const char *architecture; /* as architecture_word calls it; NULL: not told */
} Utm;

/* `name` names the text in errors (INVALID). */
Utm *utm_parse(const char *text, gsize size, const char *name, GError **error);
void utm_free(Utm *utm);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Utm, utm_free)
