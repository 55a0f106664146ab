#include "server/boxes/ingestblob.h"

#include <ingot/error.h>
#include <string.h>

#include "base/file.h"
#include "base/process.h"

#define FRAME_MAX (1u << 20) /* bytes of one in a list of frames */
#define ENTRY 36u            /* bytes of the list for each frame: digest, length */

/* A blob on its way. */
typedef struct {
    const IngestTarget *target;
    const char *upload;
    int fd;
    guint64 come;   /* bytes of it that were added */
    guint8 *buffer; /* FRAME_MAX bytes */
} Sending;

/* --- its frames --- */

static void list_frame(GByteArray *list, const IngotDigest *digest, guint32 length)
{
    guint32 little = GUINT32_TO_LE(length);
    g_byte_array_append(list, digest->bytes, sizeof digest->bytes);
    g_byte_array_append(list, (const guint8 *)&little, sizeof little);
}

/* The seek table, which is no chunk's. */
static gboolean list_table(const Sending *sending, const IngotPacked *packed, GByteArray *list, GError **error)
{
    for (guint64 at = packed->index->blob_size; at < packed->size; at += FRAME_MAX) {
        IngotDigest digest;
        gsize length = (gsize)MIN(packed->size - at, FRAME_MAX);
        if (!ingot_file_pread(sending->fd, sending->buffer, length, at, sending->target->name, error)) {
            return FALSE;
        }
        ingot_digest_of(sending->buffer, length, &digest);
        list_frame(list, &digest, (guint32)length);
    }
    return TRUE;
}

static GByteArray *list_frames(const Sending *sending, const IngotPacked *packed, GError **error)
{
    g_autoptr(GByteArray) list = g_byte_array_new();
    for (guint i = 0; i < packed->index->chunks->len; i++) {
        list_frame(list, &g_array_index(packed->index->frames, IngotDigest, i),
                   ingot_index_chunk(packed->index, i)->stored_length);
    }
    return list_table(sending, packed, list, error) ? g_steal_pointer(&list) : NULL;
}

/* Chunks of a huge disk may be larger than a frame of a list is. */
static gboolean has_list(const IngotIndex *index)
{
    for (guint i = 0; i < index->chunks->len; i++) {
        if (ingot_index_chunk(index, i)->stored_length > FRAME_MAX) {
            return FALSE;
        }
    }
    return TRUE;
}

/* --- its bytes --- */

static gboolean send_range(Sending *sending, guint64 offset, guint64 length, GError **error)
{
    for (guint64 end = offset + length; offset < end;) {
        gsize size = (gsize)MIN(end - offset, FRAME_MAX);
        if (!ingot_interrupt_check(error) ||
            !ingot_file_pread(sending->fd, sending->buffer, size, offset, sending->target->name, error) ||
            !storage_upload_add(sending->target->storage, sending->upload, 0, sending->come, sending->buffer, size,
                                error)) {
            return FALSE;
        }
        sending->come += size;
        offset += size;
    }
    return TRUE;
}

/* The frames whose bits are set. */
static gboolean send_missing(Sending *sending, const GByteArray *list, const GByteArray *missing, GError **error)
{
    guint64 offset = 0;
    for (guint i = 0; i < list->len / ENTRY; i++) {
        guint32 length;
        memcpy(&length, list->data + (gsize)i * ENTRY + INGOT_DIGEST_SIZE, sizeof length);
        length = GUINT32_FROM_LE(length);
        if ((missing->data[i / 8] & (1u << (i % 8))) != 0 && !send_range(sending, offset, length, error)) {
            return FALSE;
        }
        offset += length;
    }
    return TRUE;
}

/* Whoever brings all bytes may learn which of them are here: NULL, of any repository. */
static gboolean send_disk(Sending *sending, const IngotPacked *packed, GError **error)
{
    if (!has_list(packed->index)) {
        return send_range(sending, 0, packed->size, error);
    }
    g_autoptr(GByteArray) missing = g_byte_array_new();
    g_autoptr(GByteArray) list = list_frames(sending, packed, error);
    return list != NULL &&
           storage_upload_offer(sending->target->storage, sending->upload, list->data, list->len, NULL, NULL, missing,
                                error) &&
           send_missing(sending, list, missing, error);
}

/* --- blobs --- */

static char *upload_begin(const IngestTarget *target, GError **error)
{
    const StorageUpload about = {.name = target->name, .brief = TRUE};
    return storage_upload_new(target->storage, &about, error);
}

/* ok: all of it has come. */
static gboolean upload_end(const IngestTarget *target, const char *upload, gboolean ok, const IngotDigest *digest,
                           GError **error)
{
    ok = ok && storage_upload_finish(target->storage, target->actor, upload, 0, target->name, digest, error);
    if (!ok) {
        storage_upload_drop(target->storage, upload, NULL);
    }
    return ok;
}

gboolean ingest_disk(const IngestTarget *target, int fd, const IngotPacked *packed, GError **error)
{
    if (storage_is_whole(target->storage, target->name, &packed->digest)) {
        return TRUE;
    }
    g_autofree char *upload = upload_begin(target, error);
    g_autofree guint8 *buffer = g_malloc(FRAME_MAX);
    Sending sending = {.target = target, .upload = upload, .fd = fd, .buffer = buffer};
    return upload != NULL && upload_end(target, upload, send_disk(&sending, packed, error), &packed->digest, error);
}

gboolean ingest_bytes(const IngestTarget *target, const void *data, gsize size, IngotDigest *digest, GError **error)
{
    ingot_digest_of(data, size, digest);
    if (storage_is_whole(target->storage, target->name, digest)) {
        return TRUE;
    }
    g_autofree char *upload = upload_begin(target, error);
    return upload != NULL &&
           upload_end(target, upload, storage_upload_add(target->storage, upload, 0, 0, data, size, error), digest,
                      error);
}
