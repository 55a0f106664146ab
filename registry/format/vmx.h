/* A machine's description as VMware's .vmx: its disks at their controllers (attach.h), one network by NAT, two
 * processors, 1 GiB. */
#pragma once

#include <ingot/format.h>

/* The disks' files beside it have the names that format vmdk gives them. Free it. */
char *vmx_describe(const IngotFormatInput *input);
