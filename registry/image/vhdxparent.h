/* The parent of a VHDX ([MS-VHDX] 2.6.2.6, "Parent Locator"). */
#pragma once

#include "image/reader.h"

/* Its name as the disk tells it, "" where it tells none; free it. NULL: the disk stands alone. */
char *vhdx_parent(const Reader *reader);
