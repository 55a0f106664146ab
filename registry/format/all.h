/* Every format, one file each; format.c lists them. */
#pragma once

#include <ingot/format.h>

extern const IngotFormat format_ova, format_qcow2, format_qcow2_zstd, format_raw, format_vagrant_libvirt,
    format_vagrant_qemu, format_vagrant_virtualbox, format_vagrant_vmware, format_vdi, format_vhd, format_vhdx,
    format_vmdk, format_vmdk_stream, format_vmx;
