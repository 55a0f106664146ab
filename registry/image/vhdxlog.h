/* The log of a VHDX ([MS-VHDX] 2.3): what was to be written when the program that used it ended. The disk is whole only
 * once it is replayed. */
#pragma once

#include "image/reader.h"

gboolean vhdx_has_log(const Reader *reader);

/* How many bytes of zeros the log has written when it is replayed, at most: it says their number alone. */
guint64 vhdx_log_zeros(const Reader *reader);
