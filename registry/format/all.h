/* Every format, one file each; format.c lists them. */
#pragma once

#include <ingot/format.h>

extern const IngotFormat format_qcow2, format_raw, format_vagrant_libvirt, format_vdi, format_vhd, format_vhdx,
    format_vmdk;
