#include "image/vhdxparent.h"

#include <string.h>

#include "image/vhdxitems.h"

#define LOCATOR_HEAD 20u
#define PAIR 12u /* where a key and its value are */
#define PAIRS_MAX 64u

static const guint8 parent_locator[] = {0x2d, 0x5f, 0xd3, 0xa8, 0x0b, 0xb3, 0x4d, 0x45,
                                        0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c};

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
    VhdxRun locator;
    return vhdx_item(reader, parent_locator, &locator) ? read_locator(reader, locator.offset) : NULL;
}
