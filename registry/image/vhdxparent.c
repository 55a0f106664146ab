#include "image/vhdxparent.h"

#include <string.h>

#define REGIONS_AT (192u << 10)
#define REGIONS_HEAD 16u
#define ITEMS_HEAD 32u
#define ENTRY 32u         /* of either table */
#define ENTRIES_MAX 2047u /* of either table */
#define LOCATOR_HEAD 20u
#define PAIR 12u /* where a key and its value are */
#define PAIRS_MAX 64u

static const guint8 metadata_region[] = {0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b,
                                         0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e};
static const guint8 parent_locator[] = {0x2d, 0x5f, 0xd3, 0xa8, 0x0b, 0xb3, 0x4d, 0x45,
                                        0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c};

/* The entry with the id, among count from offset on. */
static gboolean find(const Reader *reader, guint64 offset, guint count, const guint8 *id, guint8 *entry)
{
    for (guint i = 0; i < MIN(count, ENTRIES_MAX); i++) {
        reader_bytes(reader, offset + (guint64)i * ENTRY, entry, ENTRY);
        if (memcmp(entry, id, sizeof parent_locator) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

/* The relative path is told before all others. */
static char *read_locator(const Reader *reader, guint64 locator)
{
    guint8 head[LOCATOR_HEAD], pair[PAIR];
    char *found = g_strdup("");
    reader_bytes(reader, locator, head, sizeof head);
    for (guint i = 0; i < MIN(le16(head + 18), PAIRS_MAX); i++) {
        reader_bytes(reader, locator + LOCATOR_HEAD + (guint64)i * PAIR, pair, sizeof pair);
        g_autofree char *key = reader_wide_text(reader, locator + le32(pair), le16(pair + 8), "UTF-16LE");
        gboolean relative = strcmp(key, "relative_path") == 0;
        if (relative || (*found == '\0' && strcmp(key, "absolute_win32_path") == 0)) {
            g_free(found);
            found = reader_wide_text(reader, locator + le32(pair + 4), le16(pair + 10), "UTF-16LE");
        }
        if (relative) {
            break;
        }
    }
    return found;
}

char *vhdx_parent(const Reader *reader)
{
    guint8 head[ITEMS_HEAD], entry[ENTRY];
    reader_bytes(reader, REGIONS_AT, head, REGIONS_HEAD);
    if (memcmp(head, "regi", 4) != 0 ||
        !find(reader, REGIONS_AT + REGIONS_HEAD, le32(head + 8), metadata_region, entry)) {
        return NULL;
    }
    guint64 metadata = le64(entry + 16);
    reader_bytes(reader, metadata, head, ITEMS_HEAD);
    if (memcmp(head, "metadata", 8) != 0 ||
        !find(reader, metadata + ITEMS_HEAD, le16(head + 10), parent_locator, entry)) {
        return NULL;
    }
    return read_locator(reader, metadata + le32(entry + 16));
}
