#include "server/storage/uploadstate.h"

#include <string.h>

#define MAGIC "INGOTUP1" /* the last is the version */

/* Reads or writes: both go the same way through the fields. */
typedef struct {
    GByteArray *out; /* NULL: reads */
    const guint8 *in;
    gsize left;
    gboolean ok;
} Cursor;

static void field_bytes(Cursor *cursor, void *data, gsize size)
{
    if (cursor->out != NULL) {
        g_byte_array_append(cursor->out, data, (guint)size);
    } else if (cursor->ok && (cursor->ok = cursor->left >= size)) {
        memcpy(data, cursor->in, size);
        cursor->in += size;
        cursor->left -= size;
    }
}

static void field_64(Cursor *cursor, guint64 *number)
{
    guint64 little = GUINT64_TO_LE(*number);
    field_bytes(cursor, &little, sizeof little);
    *number = GUINT64_FROM_LE(little);
}

static void field_32(Cursor *cursor, guint32 *number)
{
    guint32 little = GUINT32_TO_LE(*number);
    field_bytes(cursor, &little, sizeof little);
    *number = GUINT32_FROM_LE(little);
}

static void field_truth(Cursor *cursor, gboolean *truth)
{
    guint8 byte = *truth ? 1 : 0;
    field_bytes(cursor, &byte, sizeof byte);
    *truth = byte != 0;
}

static void field_midsum(Cursor *cursor, Midsum *sum)
{
    guint8 bytes[MIDSUM_SIZE] = {0};
    if (cursor->out != NULL) {
        midsum_save(sum, bytes);
    }
    field_bytes(cursor, bytes, sizeof bytes);
    if (cursor->out == NULL) {
        cursor->ok = cursor->ok && midsum_load(sum, bytes);
    }
}

/* No piece has begun where one has ended. */
static void field_splitter(Cursor *cursor, Splitter *splitter)
{
    guint32 state = (guint32)splitter->state, have = splitter->have, wanted = splitter->wanted;
    field_truth(cursor, &splitter->plain);
    field_32(cursor, &state);
    field_bytes(cursor, splitter->header, sizeof splitter->header);
    field_32(cursor, &have);
    field_32(cursor, &wanted);
    field_64(cursor, &splitter->skip);
    field_truth(cursor, &splitter->last);
    field_truth(cursor, &splitter->checksum);
    cursor->ok = cursor->ok && have <= sizeof splitter->header && wanted <= sizeof splitter->header;
    splitter->state = (int)state;
    splitter->have = have;
    splitter->wanted = wanted;
    splitter->length = 0;
}

static void fields(Cursor *cursor, UploadState *state)
{
    field_64(cursor, &state->size);
    field_64(cursor, &state->fresh);
    field_32(cursor, &state->pieces);
    field_bytes(cursor, state->list.bytes, sizeof state->list.bytes);
    field_midsum(cursor, &state->whole);
    field_splitter(cursor, &state->splitter);
    field_32(cursor, &state->part);
    field_bytes(cursor, state->digest.bytes, sizeof state->digest.bytes);
    field_truth(cursor, &state->offered);
    field_32(cursor, &state->next);
    field_32(cursor, &state->hashed);
    field_64(cursor, &state->hashed_size);
}

static void check_of(const guint8 *data, gsize size, const char *id, IngotDigest *check)
{
    Midsum sum;
    midsum_begin(&sum);
    midsum_add(&sum, id, strlen(id));
    midsum_add(&sum, data, size);
    midsum_digest(&sum, check);
}

GBytes *upload_state_write(const UploadState *state, const char *id)
{
    UploadState copy = *state;
    IngotDigest check;
    Cursor cursor = {.out = g_byte_array_new(), .ok = TRUE};
    g_byte_array_append(cursor.out, (const guint8 *)MAGIC, strlen(MAGIC));
    fields(&cursor, &copy);
    check_of(cursor.out->data, cursor.out->len, id, &check);
    g_byte_array_append(cursor.out, check.bytes, sizeof check.bytes);
    return g_byte_array_free_to_bytes(cursor.out);
}

gboolean upload_state_read(GBytes *bytes, const char *id, UploadState *state)
{
    gsize size = 0, head = strlen(MAGIC);
    const guint8 *data = bytes == NULL ? NULL : g_bytes_get_data(bytes, &size);
    IngotDigest check;
    if (size < head + sizeof check.bytes || memcmp(data, MAGIC, head) != 0) {
        return FALSE;
    }
    size -= sizeof check.bytes;
    check_of(data, size, id, &check);
    if (memcmp(data + size, check.bytes, sizeof check.bytes) != 0) {
        return FALSE;
    }
    *state = (UploadState){0};
    Cursor cursor = {.in = data + head, .left = size - head, .ok = TRUE};
    fields(&cursor, state);
    return cursor.ok && cursor.left == 0;
}
