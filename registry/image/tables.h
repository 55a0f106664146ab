/* Whether a disk's file holds all that its tables name, each byte once.
 *
 * QEMU reads zeros behind the end of a file, so one that is cut short would be a disk with holes where it had data. The
 * tables of qcow2, VDI, a dynamic VHD and the sparse files of a VMDK say where each piece of the disk lies; of a VHDX
 * QEMU looks by itself. Tables that name the same bytes again and again make a disk of terabytes out of a small file.
 * Leaks, reference counts and other disorder that costs no data is no concern. */
#pragma once

#include "image/reader.h"

/* FALSE and INVALID: it is cut short, or names more bytes than it has. format: as magic_probe tells it; "vmdk": also of
 * a file that is an extent. What has no tables, or none that QEMU would read, passes. */
gboolean tables_check(const Reader *reader, const char *format, GError **error);
