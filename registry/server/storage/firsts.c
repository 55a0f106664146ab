#include "server/storage/firsts.h"

struct Firsts {
    guint32 *slots; /* number of a frame + 1; 0: empty */
    guint32 mask;
    guint count; /* frames that were added */
};

Firsts *firsts_new(guint frames)
{
    Firsts *firsts = g_new0(Firsts, 1);
    guint32 size = 16;
    while (size < 2 * (guint64)frames) {
        size *= 2;
    }
    firsts->slots = g_new0(guint32, size);
    firsts->mask = size - 1;
    return firsts;
}

void firsts_free(Firsts *firsts)
{
    g_free(firsts->slots);
    g_free(firsts);
}

guint firsts_add(Firsts *firsts, const Table *table, const IngotDigest *digest)
{
    guint32 at = ingot_digest_hash(digest) & firsts->mask;
    for (; firsts->slots[at] != 0; at = (at + 1) & firsts->mask) {
        guint frame = firsts->slots[at] - 1;
        if (ingot_digest_equal(&table_piece(table, frame)->digest, digest)) {
            firsts->count++;
            return frame;
        }
    }
    firsts->slots[at] = ++firsts->count;
    return firsts->count - 1;
}
