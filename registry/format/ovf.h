/* A machine's description as an OVF envelope, version 1 (DMTF DSP0243, 1.1): its disks at their controllers (attach.h),
 * one network by NAT, two processors, 1 GiB. */
#pragma once

#include <ingot/format.h>

/* A disk's file beside the description, a streamOptimized VMDK. */
typedef struct {
    char *name;
    guint64 size; /* bytes */
} OvfFile;

/* The files of a machine's disks (streamed.h): PREFIX0.vmdk, PREFIX1.vmdk, … GArray of OvfFile; free it. */
GArray *ovf_files(const GArray *disks, const char *prefix);
static inline const OvfFile *ovf_file(const GArray *files, guint k)
{
    return &g_array_index(files, OvfFile, k);
}
/* files: one for each of the input's disks. family: who reads it (VirtualSystemType: "vmx-10"). Free it. */
char *ovf_describe(const IngotFormatInput *input, const GArray *files, const char *family);
