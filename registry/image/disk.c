#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <ingot/process.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/chunker.h"
#include "image/disk.h"

void ingot_disk_free(IngotDisk *disk)
{
    if (disk != NULL) {
        if (disk->fd >= 0) {
            close(disk->fd);
        }
        ingot_index_unref(disk->index);
        ingot_decoder_free(disk->decoder);
        g_free(disk->chunk);
        g_free(disk->path);
        g_free(disk);
    }
}

static gboolean check_size(const IngotDisk *disk, guint64 expected, GError **error)
{
    struct stat st;
    if (fstat(disk->fd, &st) != 0) {
        return ingot_error_set_errno(error, errno, "%s", disk->path);
    }
    if ((guint64)st.st_size != expected) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "%s: ends at offset %" G_GINT64_FORMAT ", but by its index at %" G_GUINT64_FORMAT, disk->path,
                    (gint64)st.st_size, expected);
        return FALSE;
    }
    return TRUE;
}

/* What follows the frames is their seek table, which the index knows byte by byte. */
static gboolean check_end(const IngotDisk *disk, GError **error)
{
    g_autoptr(GBytes) table = ingot_seek_table(disk->index);
    gsize size, same = 0;
    const guint8 *expected = g_bytes_get_data(table, &size);
    g_autofree guint8 *found = g_malloc(size);
    if (!check_size(disk, disk->index->blob_size + size, error) ||
        !ingot_file_pread(disk->fd, found, size, disk->index->blob_size, disk->path, error)) {
        return FALSE;
    }
    while (same < size && found[same] == expected[same]) {
        same++;
    }
    if (same < size) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: damaged seek table at offset %" G_GUINT64_FORMAT,
                    disk->path, disk->index->blob_size + same);
        return FALSE;
    }
    return TRUE;
}

IngotDisk *ingot_disk_open(const char *path, IngotIndex *index, GError **error)
{
    g_autoptr(IngotDisk) disk = g_new0(IngotDisk, 1);
    disk->path = g_strdup(path);
    disk->index = ingot_index_ref(index);
    disk->decoder = ingot_decoder_new();
    disk->cached = G_MAXUINT;
    disk->fd = ingot_file_open(path, O_RDONLY, 0, error);
    if (disk->fd < 0 || !check_end(disk, error)) {
        return NULL;
    }
    return g_steal_pointer(&disk);
}

/* Reads, decodes and checks chunk number i into out, with a thread's own decoder and frame buffer. */
static gboolean load(const IngotDisk *disk, IngotDecoder *decoder, GByteArray *frame, guint i, void *out,
                     GError **error)
{
    const IngotChunk *chunk = ingot_index_chunk(disk->index, i);
    g_byte_array_set_size(frame, chunk->stored_length);
    return ingot_file_pread(disk->fd, frame->data, chunk->stored_length, chunk->stored_offset, disk->path, error) &&
           ingot_decoder_chunk(decoder, chunk, frame->data, out, disk->path, error);
}

gboolean ingot_disk_read(IngotDisk *disk, guint64 offset, void *buffer, gsize size, GError **error)
{
    if (offset > disk->index->disk_size || size > disk->index->disk_size - offset) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: offset %" G_GUINT64_FORMAT " is past the disk's end",
                    disk->path, offset);
        return FALSE;
    }
    g_autoptr(GByteArray) frame = g_byte_array_new();
    for (gsize done = 0; done < size;) {
        guint i = ingot_index_find(disk->index, offset + done);
        const IngotChunk *chunk = ingot_index_chunk(disk->index, i);
        gsize within = offset + done - chunk->offset, part = MIN(chunk->length - within, size - done);
        if (disk->cached != i) {
            disk->cached = G_MAXUINT;
            disk->chunk = g_realloc(disk->chunk, chunk->length);
            if (!load(disk, disk->decoder, frame, i, disk->chunk, error)) {
                return FALSE;
            }
            disk->cached = i;
        }
        memcpy((guint8 *)buffer + done, disk->chunk + within, part);
        done += part;
    }
    return TRUE;
}

static gboolean write_all(int fd, const guint8 *data, gsize size, GError **error)
{
    for (gsize done = 0; done < size;) {
        ssize_t count = write(fd, data + done, size - done);
        if (count < 0 && errno != EINTR) {
            return ingot_error_set_errno(error, errno, "cannot write to the output");
        }
        done += (gsize)MAX(count, 0);
        if (count < 0 && !ingot_interrupt_check(error)) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean ingot_disk_stream(IngotDisk *disk, int fd, IngotProgress *progress, GError **error)
{
    g_autoptr(GByteArray) frame = g_byte_array_new();
    g_autofree guint8 *data = g_malloc(MAX(INGOT_HOLE_MAX, chunker_max(disk->index->average)));
    for (guint i = 0; i < disk->index->chunks->len; i++) {
        const IngotChunk *chunk = ingot_index_chunk(disk->index, i);
        if (!ingot_interrupt_check(error) || !load(disk, disk->decoder, frame, i, data, error) ||
            !write_all(fd, data, chunk->length, error)) {
            return FALSE;
        }
        ingot_progress_add(progress, chunk->length);
    }
    return TRUE;
}
