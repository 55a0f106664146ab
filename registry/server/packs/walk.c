#include "server/packs/walk.h"

#include <string.h>

#define WINDOW (1u << 20) /* bytes that are searched at once */
#define SECTOR 4096u      /* of a window that can't be read as a whole, each by itself */

/* Zeros stand for what the disk does not give. */
static void window_read(const Pack *pack, guint64 at, guint8 *window, gsize size)
{
    if (pack_read(pack, at, window, size, NULL)) {
        return;
    }
    for (gsize done = 0; done < size; done += SECTOR) {
        gsize step = MIN(SECTOR, size - done);
        if (!pack_read(pack, at + done, window + done, step, NULL)) {
            memset(window + done, 0, step);
        }
    }
}

/* Where the next head stands that a whole segment follows, from an offset on; `size`: nowhere. */
static guint64 walk_search(const Pack *pack, guint64 from, guint64 size)
{
    g_autofree guint8 *window = g_malloc(WINDOW);
    const gsize magic = strlen(SEGMENT_MAGIC);
    for (guint64 at = from; at + SEGMENT_HEAD <= size;) {
        gsize length = (gsize)MIN(WINDOW, size - at);
        window_read(pack, at, window, length);
        for (const guint8 *found = window;
             (found = memmem(found, length - (gsize)(found - window), SEGMENT_MAGIC, magic)) != NULL; found++) {
            guint64 data, end, place = at + (guint64)(found - window);
            g_autoptr(Table) table = segment_read(pack, place, size, &data, &end, NULL);
            if (table != NULL) {
                return place;
            }
        }
        at += length == WINDOW ? length - magic : length; /* a head may stand across two windows */
    }
    return size;
}

static gboolean walk_begins(const Pack *pack, guint64 at)
{
    char magic[sizeof SEGMENT_MAGIC - 1];
    return pack_read(pack, at, magic, sizeof magic, NULL) && memcmp(magic, SEGMENT_MAGIC, sizeof magic) == 0;
}

gboolean pack_walk(const Pack *pack, guint64 size, WalkTake take, WalkMiss miss, gpointer user, guint64 *end,
                   GError **error)
{
    WalkPlace place = {.pack = pack_number(pack)};
    guint64 last = 0;
    while (place.at < size) {
        guint64 data, next;
        GError *problem = NULL;
        g_autoptr(Table) table = segment_read(pack, place.at, size, &data, &next, &problem);
        if (table != NULL) {
            if (!take(table, &place, user, error)) {
                return FALSE;
            }
            last = next;
        } else {
            if (next == place.at || (next < size && !walk_begins(pack, next))) {
                next = walk_search(pack, place.at + 1, size);
            }
            miss(pack, place.at, next, problem->message, user);
            g_error_free(problem);
            place.loose = TRUE;
        }
        place.at = next;
    }
    if (end != NULL) {
        *end = last;
    }
    return TRUE;
}
