/* A machine of Hyper-V's as the XML describes it that Hyper-V wrote up to Windows Server 2012 R2, and that Packer
 * writes beside the *.vmcx of later ones. */
#pragma once

#include <glib.h>

typedef struct {
    guint generation; /* 1: it boots by BIOS; 2: by UEFI; 0: not told */
    GPtrArray *disks; /* of char *: the file names of its disks, without folders, by controller and drive */
} Hyperv;

/* `name` names the text in errors (INVALID). */
Hyperv *hyperv_parse(const char *text, gsize size, const char *name, GError **error);
void hyperv_free(Hyperv *machine);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Hyperv, hyperv_free)
