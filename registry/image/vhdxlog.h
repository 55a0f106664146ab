/* The log of a VHDX ([MS-VHDX] 2.3): what was to be written when the program that used it ended. The disk is whole only
 * once it is replayed. */
#pragma once

#include "image/reader.h"

gboolean vhdx_has_log(const Reader *reader);
