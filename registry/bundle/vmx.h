/* A machine of VMware's as its *.vmx describes it: lines KEY = "VALUE". */
#pragma once

#include <glib.h>

typedef struct {
    char *place;     /* "scsi0:0" */
    char *file;      /* "web.vmdk" */
    const char *bus; /* "ide", "scsi", "sata", "nvme" */
} VmxDisk;

typedef struct {
    GPtrArray *disks;         /* of VmxDisk, by bus, controller and unit */
    gboolean uefi, bios;      /* what it says that it boots by */
    const char *architecture; /* as architecture_word calls it; NULL: not told */
} Vmx;

/* Whatever is no such line is passed over, as VMware does. Text is in what the line ".encoding" says, else UTF-8; a
 * disk's file whose name cannot be read by that is INVALID, and `name` names the text. */
Vmx *vmx_parse(const char *text, gsize size, const char *name, GError **error);
void vmx_free(Vmx *vmx);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Vmx, vmx_free)
