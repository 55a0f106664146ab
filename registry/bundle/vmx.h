/* A machine of VMware's as its *.vmx describes it: lines KEY = "VALUE". */
#pragma once

#include <glib.h>

typedef struct {
    GPtrArray *disks; /* of char *: the files of its disks, *.vmdk */
    gboolean uefi;
} Vmx;

/* Whatever is no such line is passed over, as VMware does. */
Vmx *vmx_parse(const char *text, gsize size);
void vmx_free(Vmx *vmx);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Vmx, vmx_free)
