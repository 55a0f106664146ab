#include "server/packs/splitter.h"

#include <string.h>

#define FRAME_MAGIC 0xFD2FB528u
#define SKIPPABLE_MAGIC 0x184D2A50u /* and the fifteen after it */

enum { MAGIC, SKIPPABLE, DESCRIPTOR, REST, BLOCK, FRAME_END };

static void expect(Splitter *splitter, int state, guint wanted)
{
    splitter->state = state;
    splitter->wanted = wanted;
    splitter->have = 0;
}

void splitter_begin(Splitter *splitter)
{
    memset(splitter, 0, sizeof *splitter);
    expect(splitter, MAGIC, 4);
}

static guint32 little(const guint8 *bytes, guint count)
{
    guint32 value = 0;
    for (guint i = 0; i < count; i++) {
        value |= (guint32)bytes[i] << (8 * i);
    }
    return value;
}

/* Bytes of a frame's header after its descriptor (RFC 8878, section 3.1.1.1). */
static guint rest_of_header(guint8 descriptor)
{
    static const guint dictionary[] = {0, 1, 2, 4}, content[] = {0, 2, 4, 8};
    gboolean single = (descriptor & 0x20) != 0;
    guint size = content[descriptor >> 6];
    return (single ? 0 : 1) + dictionary[descriptor & 3] + (size == 0 && single ? 1 : size);
}

/* Section 3.1.1.2: what follows a block's three bytes. */
static void read_block(Splitter *splitter)
{
    guint32 head = little(splitter->header, 3);
    guint type = (head >> 1) & 3;
    splitter->last = (head & 1) != 0;
    splitter->skip = type == 1 ? 1 : head >> 3;
    splitter->plain = type == 3; /* reserved */
    if (splitter->last) {
        splitter->skip += splitter->checksum ? 4 : 0;
        expect(splitter, FRAME_END, 0);
    } else {
        expect(splitter, BLOCK, 3);
    }
}

static void read_header(Splitter *splitter)
{
    guint32 magic;
    switch (splitter->state) {
    case MAGIC:
        magic = little(splitter->header, 4);
        if ((magic & ~0xFu) == SKIPPABLE_MAGIC) {
            expect(splitter, SKIPPABLE, 4);
        } else {
            splitter->plain = magic != FRAME_MAGIC;
            expect(splitter, DESCRIPTOR, 1);
        }
        return;
    case SKIPPABLE:
        splitter->skip = little(splitter->header, 4);
        expect(splitter, FRAME_END, 0);
        return;
    case DESCRIPTOR:
        splitter->checksum = (splitter->header[0] & 4) != 0;
        splitter->plain = (splitter->header[0] & 8) != 0; /* reserved */
        expect(splitter, REST, rest_of_header(splitter->header[0]));
        if (splitter->wanted == 0) {
            expect(splitter, BLOCK, 3);
        }
        return;
    case REST:
        expect(splitter, BLOCK, 3);
        return;
    default:
        read_block(splitter);
    }
}

/* Takes a run of bytes that are alike to us: of a block's content, of a header, or of a plain blob. */
static gsize take_run(Splitter *splitter, const guint8 *data, gsize size)
{
    if (splitter->plain) {
        return size;
    }
    if (splitter->skip > 0) {
        gsize count = (gsize)MIN((guint64)size, splitter->skip);
        splitter->skip -= count;
        return count;
    }
    splitter->header[splitter->have++] = data[0];
    if (splitter->have == splitter->wanted) {
        read_header(splitter);
    }
    return 1;
}

gsize splitter_take(Splitter *splitter, const guint8 *data, gsize size, gboolean *ends)
{
    gsize used = 0;
    *ends = FALSE;
    while (used < size && !*ends) {
        gsize count = take_run(splitter, data + used, MIN(size - used, PIECE_MAX - splitter->length));
        used += count;
        splitter->length += (guint32)count;
        gboolean frame_ends = !splitter->plain && splitter->state == FRAME_END && splitter->skip == 0;
        if (frame_ends) {
            expect(splitter, MAGIC, 4);
        }
        *ends = (frame_ends && splitter->length >= PIECE_LEAST) || splitter->length == PIECE_MAX;
    }
    splitter->length = *ends ? 0 : splitter->length;
    return used;
}
