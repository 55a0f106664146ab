#include "image/vhdxitems.h"

#include <string.h>

#define REGIONS_AT (192u << 10)
#define REGIONS_HEAD 16u
#define ITEMS_HEAD 32u
#define ENTRY 32u         /* of either table */
#define ENTRIES_MAX 2047u /* of either table */
#define ID 16u

const guint8 vhdx_region_bat[ID] = {0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42,
                                    0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08};
static const guint8 region_metadata[ID] = {0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b,
                                           0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e};

/* The entry with the id, among count from offset on. */
static gboolean find(const Reader *reader, guint64 offset, guint count, const guint8 *id, guint8 *entry)
{
    for (guint i = 0; i < MIN(count, ENTRIES_MAX); i++) {
        reader_bytes(reader, offset + (guint64)i * ENTRY, entry, ENTRY);
        if (memcmp(entry, id, ID) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

gboolean vhdx_region(const Reader *reader, const guint8 *id, VhdxRun *region)
{
    guint8 head[REGIONS_HEAD], entry[ENTRY];
    reader_bytes(reader, REGIONS_AT, head, sizeof head);
    if (memcmp(head, "regi", 4) != 0 || !find(reader, REGIONS_AT + REGIONS_HEAD, le32(head + 8), id, entry)) {
        return FALSE;
    }
    *region = (VhdxRun){le64(entry + 16), le32(entry + 24)};
    return TRUE;
}

gboolean vhdx_item(const Reader *reader, const guint8 *id, VhdxRun *item)
{
    guint8 head[ITEMS_HEAD], entry[ENTRY];
    VhdxRun metadata;
    if (!vhdx_region(reader, region_metadata, &metadata)) {
        return FALSE;
    }
    reader_bytes(reader, metadata.offset, head, sizeof head);
    if (memcmp(head, "metadata", 8) != 0 || !find(reader, metadata.offset + ITEMS_HEAD, le16(head + 10), id, entry)) {
        return FALSE;
    }
    *item = (VhdxRun){metadata.offset + le32(entry + 16), le32(entry + 20)};
    return TRUE;
}
