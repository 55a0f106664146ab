/* Every format, one file each; format.c lists them. And what those files share. */
#pragma once

#include <ingot/format.h>

extern const IngotFormat format_ova, format_qcow2, format_qcow2_zstd, format_raw, format_vagrant_libvirt,
    format_vagrant_qemu, format_vagrant_virtualbox, format_vagrant_vmware, format_vdi, format_vhd, format_vhdx,
    format_vmdk, format_vmdk_stream, format_vmx;

/* Whether it is several files, in a folder of their own, of one disk already. */
gboolean format_is_folder(const IngotFormat *format);
/* FALSE: no folder can be made of that name (EXISTS: something has it). */
gboolean format_folder_check(const char *path, GError **error);

/* A list of files, one more for it, a list of one. The layout is the list's then. */
GPtrArray *ingot_format_files_new(void);
void ingot_format_files_add(GPtrArray *files, const char *name, IngotLayout *layout);
GPtrArray *ingot_format_files_one(const char *name, IngotLayout *layout);
