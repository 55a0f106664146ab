#include "format/identity.h"

#include <string.h>

#include "format/input.h"

void identity_uuid(const IngotFormatInput *input, const char *purpose, guint8 uuid[16])
{
    const IngotIndex *index = input_index(input);
    g_autoptr(IngotHasher) hasher = ingot_hasher_new();
    for (guint i = 0; i < index->chunks->len; i++) {
        const IngotChunk *chunk = ingot_index_chunk(index, i);
        guint32 length = GUINT32_TO_LE(chunk->length);
        ingot_hasher_add(hasher, chunk->digest.bytes, sizeof chunk->digest.bytes);
        ingot_hasher_add(hasher, &length, sizeof length);
    }
    ingot_hasher_add(hasher, purpose, strlen(purpose));
    if (input->number > 0) {
        g_autofree char *number = g_strdup_printf("/%u", input->number);
        ingot_hasher_add(hasher, number, strlen(number));
    }
    IngotDigest digest;
    ingot_hasher_finish(hasher, &digest);
    memcpy(uuid, digest.bytes, 16);
    uuid[6] = (guint8)((uuid[6] & 0x0f) | 0x80);
    uuid[8] = (guint8)((uuid[8] & 0x3f) | 0x80);
}
