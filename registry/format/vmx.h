/* A machine's description as VMware's .vmx: one disk at a SATA controller, one network by NAT, two processors, 1 GiB.
 */
#pragma once

#include <ingot/format.h>

/* disk: its file's name beside the description. Free it. */
char *vmx_describe(const IngotFormatInput *input, const char *disk);
