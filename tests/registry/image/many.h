/* Indexes of more chunks than are taken, as older releases wrote them. */
#pragma once

#include <ingot/index.h>
#include <string.h>

/* Of blocks: first so many of data, then holes. */
static inline GBytes *index_of_many(guint data, guint holes)
{
    g_autoptr(IngotIndex) index = ingot_index_new("none", 32768);
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    for (guint i = 0; i < data + holes; i++) {
        IngotDigest digest;
        for (gsize at = 0; i < data && at < sizeof digest.bytes; at += sizeof(guint32)) {
            guint32 word = g_rand_int(random);
            memcpy(digest.bytes + at, &word, sizeof word);
        }
        ingot_index_add(index, i < data ? &digest : NULL, INGOT_BLOCK_SIZE, 20);
    }
    return ingot_index_serialize(index);
}
