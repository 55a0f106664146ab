/* The digests of a disk's frames, so that a push need not read the disk to tell them; of one that was pulled they are
 * kept by its first push.
 *
 * frame-digests/HEX is for the disk of that digest: "INGOTFDG", u32 version (1), u32 number of frames (both
 * little-endian), the digests in the chunks' order, the SHA-256 of all before. It can be worked out again at any time,
 * so one that is damaged or missing is as if it had never been kept, and one that can't be written is no failure. */
#include <string.h>
#include <unistd.h>

#include "store/blobs.h"
#include "store/layout.h"

#define FOLDER "frame-digests"
#define VERSION 1u
#define HEAD_SIZE 16u /* bytes before the digests */

static const guint8 magic[8] = {'I', 'N', 'G', 'O', 'T', 'F', 'D', 'G'};

static char *digests_path(const IngotStore *store, const IngotDigest *disk)
{
    return layout_note_path(store, FOLDER, disk);
}

static void digests_head(guint8 head[HEAD_SIZE], guint count)
{
    guint32 version = GUINT32_TO_LE(VERSION), number = GUINT32_TO_LE(count);
    memcpy(head, magic, sizeof magic);
    memcpy(head + sizeof magic, &version, sizeof version);
    memcpy(head + sizeof magic + sizeof version, &number, sizeof number);
}

void ingot_store_keep_frames(IngotStore *store, const IngotDigest *disk, const IngotIndex *index)
{
    g_autofree char *path = digests_path(store, disk), *folder = layout_path(store, FOLDER);
    if (index->frames == NULL || index->frames->len != index->chunks->len) {
        return;
    }
    guint8 head[HEAD_SIZE];
    IngotDigest sum;
    digests_head(head, index->frames->len);
    g_autoptr(GByteArray) text = g_byte_array_new();
    g_byte_array_append(text, head, sizeof head);
    g_byte_array_append(text, (const guint8 *)index->frames->data, index->frames->len * INGOT_DIGEST_SIZE);
    ingot_digest_of(text->data, text->len, &sum);
    g_byte_array_append(text, sum.bytes, sizeof sum.bytes);
    if (ingot_file_make_folder(folder, NULL)) {
        ingot_file_replace(path, text->data, text->len, 0644, NULL);
    }
}

static gboolean digests_are_whole(const guint8 *text, gsize size, guint count)
{
    guint8 head[HEAD_SIZE];
    IngotDigest sum;
    digests_head(head, count);
    if (size != HEAD_SIZE + (gsize)(count + 1) * INGOT_DIGEST_SIZE || memcmp(text, head, sizeof head) != 0) {
        return FALSE;
    }
    ingot_digest_of(text, size - INGOT_DIGEST_SIZE, &sum);
    return memcmp(text + size - INGOT_DIGEST_SIZE, sum.bytes, INGOT_DIGEST_SIZE) == 0;
}

gboolean ingot_store_load_frames(IngotStore *store, const IngotDigest *disk, IngotIndex *index)
{
    gsize size, most = HEAD_SIZE + (gsize)(index->chunks->len + 1) * INGOT_DIGEST_SIZE;
    g_autofree char *path = digests_path(store, disk);
    g_autoptr(GBytes) bytes = ingot_file_read_regular(path, most, NULL);
    const guint8 *text = bytes == NULL ? NULL : g_bytes_get_data(bytes, &size);
    if (text == NULL || !digests_are_whole(text, size, index->chunks->len)) {
        return FALSE;
    }
    g_clear_pointer(&index->frames, g_array_unref);
    index->frames = g_array_new(FALSE, FALSE, sizeof(IngotDigest));
    g_array_append_vals(index->frames, text + HEAD_SIZE, index->chunks->len);
    return TRUE;
}

void ingot_store_drop_frames(IngotStore *store, const IngotDigest *disk)
{
    g_autofree char *path = digests_path(store, disk);
    unlink(path);
}
