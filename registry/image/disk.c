#include <errno.h>
#include <fcntl.h>
#include <ingot/disk.h>
#include <ingot/encoder.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <ingot/process.h>
#include <ingot/text.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/qcow2.h"

struct IngotDisk {
    char *path;
    int fd;
    IngotIndex *index;
    IngotDecoder *decoder; /* of ingot_disk_read and ingot_disk_stream */
    guint8 *chunk;         /* the one that was read last */
    guint cached;          /* its number; G_MAXUINT: none */
};

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

IngotDisk *ingot_disk_open(const char *path, IngotIndex *index, GError **error)
{
    g_autoptr(IngotDisk) disk = g_new0(IngotDisk, 1);
    disk->path = g_strdup(path);
    disk->index = ingot_index_ref(index);
    disk->decoder = ingot_decoder_new();
    disk->cached = G_MAXUINT;
    disk->fd = ingot_file_open(path, O_RDONLY, 0, error);
    struct stat st;
    if (disk->fd < 0) {
        return NULL;
    }
    if (fstat(disk->fd, &st) != 0) {
        ingot_error_set_errno(error, errno, "%s", path);
        return NULL;
    }
    if ((guint64)st.st_size < index->blob_size) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "%s: ends at offset %" G_GINT64_FORMAT ", its index speaks of %" G_GUINT64_FORMAT " bytes", path,
                    (gint64)st.st_size, index->blob_size);
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

gboolean ingot_disk_format_parse(const char *text, IngotDiskFormat *format, GError **error)
{
    static const char *const words[] = {"raw", "qcow2", NULL};
    for (guint i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], text) == 0) {
            *format = (IngotDiskFormat)i;
            return TRUE;
        }
    }
    g_autofree char *hint = ingot_text_suggestion(text, words);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "unknown format '%s': raw or qcow2%s", text, hint);
    return FALSE;
}

/* --- the whole disk, on all cores: each thread takes the next run of chunks --- */

#define RUN 32u /* chunks */

typedef struct {
    IngotDisk *disk;
    int fd; /* -1: verify only */
    const char *name;
    const Qcow2Map *map; /* NULL: raw */
    IngotProgress *progress;
    guint next; /* chunk; atomic */
    GMutex lock;
    GError *failure; /* the first */
} Sweep;

static gboolean place(const Sweep *sweep, const IngotChunk *chunk, const guint8 *data, GError **error)
{
    if (sweep->fd < 0) {
        return TRUE;
    }
    if (sweep->map == NULL) {
        return ingot_file_pwrite(sweep->fd, data, chunk->length, chunk->offset, sweep->name, error);
    }
    for (gsize done = 0; done < chunk->length;) {
        guint64 at = chunk->offset + done;
        gsize within = at % QCOW2_CLUSTER, part = MIN(QCOW2_CLUSTER - within, chunk->length - done);
        guint64 cluster = g_array_index(sweep->map->clusters, guint64, at / QCOW2_CLUSTER);
        if (!ingot_file_pwrite(sweep->fd, data + done, part, cluster + within, sweep->name, error)) {
            return FALSE;
        }
        done += part;
    }
    return TRUE;
}

static gboolean sweep_run(Sweep *sweep, IngotDecoder *decoder, GByteArray *frame, guint8 *data, guint from,
                          GError **error)
{
    const IngotIndex *index = sweep->disk->index;
    guint64 bytes = 0;
    for (guint i = from; i < MIN(from + RUN, index->chunks->len); i++) {
        const IngotChunk *chunk = ingot_index_chunk(index, i);
        bytes += chunk->length;
        /* A hole's frame is looked at where everything is (verify), and not needed to write nothing. */
        if (chunk->hole && sweep->fd >= 0) {
            continue;
        }
        if (!load(sweep->disk, decoder, frame, i, data, error) || (!chunk->hole && !place(sweep, chunk, data, error))) {
            return FALSE;
        }
    }
    ingot_progress_add(sweep->progress, bytes);
    return ingot_interrupt_check(error);
}

static gpointer sweep_thread(gpointer user)
{
    Sweep *sweep = user;
    g_autoptr(IngotDecoder) decoder = ingot_decoder_new();
    g_autoptr(GByteArray) frame = g_byte_array_new();
    g_autofree guint8 *data = g_malloc(INGOT_HOLE_MAX);
    for (;;) {
        guint from = (guint)g_atomic_int_add(&sweep->next, RUN);
        if (from >= sweep->disk->index->chunks->len) {
            return NULL;
        }
        GError *failure = NULL;
        if (!sweep_run(sweep, decoder, frame, data, from, &failure)) {
            g_atomic_int_set(&sweep->next, sweep->disk->index->chunks->len);
            g_mutex_lock(&sweep->lock);
            if (sweep->failure == NULL) {
                sweep->failure = g_steal_pointer(&failure);
            }
            g_mutex_unlock(&sweep->lock);
            g_clear_error(&failure);
            return NULL;
        }
    }
}

static gboolean sweep_all(Sweep *sweep, GError **error)
{
    g_mutex_init(&sweep->lock);
    guint count = MIN(g_get_num_processors(), 16);
    GThread *threads[16];
    for (guint i = 0; i < count; i++) {
        threads[i] = g_thread_new("disk", sweep_thread, sweep);
    }
    for (guint i = 0; i < count; i++) {
        g_thread_join(threads[i]);
    }
    g_mutex_clear(&sweep->lock);
    if (sweep->failure != NULL) {
        g_propagate_error(error, sweep->failure);
        return FALSE;
    }
    return TRUE;
}

gboolean ingot_disk_verify(IngotDisk *disk, IngotProgress *progress, GError **error)
{
    Sweep sweep = {.disk = disk, .fd = -1, .name = disk->path, .progress = progress};
    return sweep_all(&sweep, error);
}

static gboolean write_file(IngotDisk *disk, int fd, const char *name, IngotDiskFormat format, IngotProgress *progress,
                           GError **error)
{
    g_autoptr(Qcow2Map) map = format == INGOT_DISK_QCOW2 ? qcow2_map_new(disk->index) : NULL;
    guint64 size = map == NULL ? disk->index->disk_size : map->file_size;
    if (ftruncate(fd, (off_t)size) != 0) {
        return ingot_error_set_errno(error, errno, "%s", name);
    }
    if (map != NULL && !ingot_file_pwrite(fd, g_bytes_get_data(map->metadata, NULL), g_bytes_get_size(map->metadata), 0,
                                          name, error)) {
        return FALSE;
    }
    Sweep sweep = {.disk = disk, .fd = fd, .name = name, .map = map, .progress = progress};
    return sweep_all(&sweep, error);
}

gboolean ingot_disk_export(IngotDisk *disk, const char *path, IngotDiskFormat format, IngotProgress *progress,
                           GError **error)
{
    g_autofree char *temporary = g_strdup_printf("%s.ingot-%d", path, (int)getpid());
    g_auto(IngotFd) fd = ingot_file_open(temporary, O_RDWR | O_CREAT | O_EXCL, 0644, error);
    if (fd < 0) {
        return FALSE;
    }
    if (write_file(disk, fd, path, format, progress, error) && ingot_file_publish(fd, temporary, path, error)) {
        return TRUE;
    }
    unlink(temporary);
    return FALSE;
}

gboolean ingot_disk_stream(IngotDisk *disk, int fd, IngotProgress *progress, GError **error)
{
    g_autoptr(GByteArray) frame = g_byte_array_new();
    g_autofree guint8 *data = g_malloc(INGOT_HOLE_MAX);
    for (guint i = 0; i < disk->index->chunks->len; i++) {
        const IngotChunk *chunk = ingot_index_chunk(disk->index, i);
        if (!ingot_interrupt_check(error) || !load(disk, disk->decoder, frame, i, data, error)) {
            return FALSE;
        }
        for (gsize done = 0; done < chunk->length;) {
            ssize_t count = write(fd, data + done, chunk->length - done);
            if (count < 0 && errno != EINTR) {
                return ingot_error_set_errno(error, errno, "standard output");
            }
            done += (gsize)MAX(count, 0);
        }
        ingot_progress_add(progress, chunk->length);
    }
    return TRUE;
}
