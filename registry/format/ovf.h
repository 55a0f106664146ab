/* A machine's description as an OVF envelope, version 1 (DMTF DSP0243, 1.1): one disk at a SATA controller, one network
 * by NAT, two processors, 1 GiB. */
#pragma once

#include <ingot/format.h>

/* file: the disk's name beside the description, a streamOptimized VMDK of size bytes. family: who reads it
 * (VirtualSystemType: "vmx-10"). Free it. */
char *ovf_describe(const IngotFormatInput *input, const char *file, guint64 size, const char *family);
