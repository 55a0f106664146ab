#include "server/storage/midsum.h"

#include <string.h>

#define WORDS 8
#define COUNT_AT (WORDS * sizeof(guint32))
#define BLOCK_AT (COUNT_AT + sizeof(guint64))
G_STATIC_ASSERT(BLOCK_AT + SHA256_BLOCK_SIZE == MIDSUM_SIZE);

void midsum_begin(Midsum *sum)
{
    sha256_init(&sum->context);
}

void midsum_add(Midsum *sum, const void *data, gsize size)
{
    sha256_update(&sum->context, size, data);
}

void midsum_digest(const Midsum *sum, IngotDigest *digest)
{
    struct sha256_ctx context = sum->context;
    sha256_digest(&context, sizeof digest->bytes, digest->bytes);
}

void midsum_save(const Midsum *sum, guint8 *bytes)
{
    const struct sha256_ctx *context = &sum->context;
    guint64 count = GUINT64_TO_LE(context->count * SHA256_BLOCK_SIZE + context->index);
    memset(bytes, 0, MIDSUM_SIZE);
    for (guint i = 0; i < WORDS; i++) {
        guint32 word = GUINT32_TO_LE(context->state[i]);
        memcpy(bytes + i * sizeof word, &word, sizeof word);
    }
    memcpy(bytes + COUNT_AT, &count, sizeof count);
    memcpy(bytes + BLOCK_AT, context->block, context->index);
}

gboolean midsum_load(Midsum *sum, const guint8 *bytes)
{
    struct sha256_ctx *context = &sum->context;
    static const guint8 nothing[SHA256_BLOCK_SIZE];
    guint64 count;
    memcpy(&count, bytes + COUNT_AT, sizeof count);
    count = GUINT64_FROM_LE(count);
    guint index = (guint)(count % SHA256_BLOCK_SIZE);
    if (memcmp(bytes + BLOCK_AT + index, nothing, SHA256_BLOCK_SIZE - index) != 0) {
        return FALSE;
    }
    midsum_begin(sum);
    for (guint i = 0; i < WORDS; i++) {
        guint32 word;
        memcpy(&word, bytes + i * sizeof word, sizeof word);
        context->state[i] = GUINT32_FROM_LE(word);
    }
    context->count = count / SHA256_BLOCK_SIZE;
    context->index = index;
    memcpy(context->block, bytes + BLOCK_AT, index);
    return TRUE;
}
