/* The regions of a VHDX, and the items of its metadata, by their ids ([MS-VHDX] 2.2.3 and 2.6.1). */
#pragma once

#include "image/reader.h"

typedef struct {
    guint64 offset, size;
} VhdxRun;

extern const guint8 vhdx_region_bat[16];

/* FALSE: the file has none of that id. The item's place is in the file. */
gboolean vhdx_region(const Reader *reader, const guint8 *id, VhdxRun *region);
gboolean vhdx_item(const Reader *reader, const guint8 *id, VhdxRun *item);
