/* The whole disk, on all cores: each thread takes the next run of chunks, reads their frames at once, checks each chunk
 * and puts it where it belongs. Nobody waits for anybody: a chunk's place is known from the index alone. */
#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <ingot/process.h>
#include <ingot/text.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/chunker.h"
#include "image/disk.h"
#include "image/qcow2.h"

#define RUN_CHUNKS 64u          /* at most, in one run */
#define RUN_FRAMES (512u << 10) /* bytes of frames after which a run ends */
#define DATA_SIZE (1u << 20)    /* bytes of neighbours that are written at once */
#define THREADS_MAX 16u

typedef struct {
    IngotDisk *disk;
    int fd; /* -1: verify only */
    const char *name;
    const Qcow2 *qcow2; /* NULL: raw */
    IngotProgress *progress;
    GMutex lock;
    guint next;      /* the first chunk that nobody has taken */
    GError *failure; /* the first */
} Sweep;

/* What one thread works with. */
typedef struct {
    IngotDecoder *decoder;
    GByteArray *frames;
    guint8 *data; /* neighbouring chunks that are not written yet */
    gsize size;
    guint64 offset; /* of data on the disk */
} Worker;

/* The next run [*from, *to), or FALSE at the end. */
static gboolean take_run(Sweep *sweep, guint *from, guint *to)
{
    const GArray *chunks = sweep->disk->index->chunks;
    guint64 frames = 0;
    g_mutex_lock(&sweep->lock);
    *from = *to = sweep->next;
    while (*to < chunks->len && *to - *from < RUN_CHUNKS && frames < RUN_FRAMES) {
        frames += g_array_index(chunks, IngotChunk, *to).stored_length;
        (*to)++;
    }
    sweep->next = *to;
    g_mutex_unlock(&sweep->lock);
    return *to > *from;
}

/* The first failure counts; nobody takes another run. */
static void fail(Sweep *sweep, GError *failure)
{
    g_mutex_lock(&sweep->lock);
    sweep->next = sweep->disk->index->chunks->len;
    if (sweep->failure == NULL) {
        sweep->failure = g_steal_pointer(&failure);
    }
    g_mutex_unlock(&sweep->lock);
    g_clear_error(&failure);
}

static gboolean flush(const Sweep *sweep, Worker *worker, GError **error)
{
    gsize size = worker->size;
    worker->size = 0;
    if (size == 0 || sweep->fd < 0) {
        return TRUE;
    }
    guint64 place = sweep->qcow2 == NULL ? worker->offset : qcow2_place(sweep->qcow2, worker->offset);
    return ingot_file_pwrite(sweep->fd, worker->data, size, place, sweep->name, error);
}

static gboolean do_chunk(const Sweep *sweep, Worker *worker, const IngotChunk *chunk, const guint8 *frame,
                         GError **error)
{
    if (chunk->hole || worker->size + chunk->length > DATA_SIZE) {
        if (!flush(sweep, worker, error)) {
            return FALSE;
        }
    }
    guint8 *data = chunk->hole ? NULL : worker->data + worker->size;
    if (!ingot_decoder_chunk(worker->decoder, chunk, frame, data, sweep->disk->path, error)) {
        return FALSE;
    }
    if (!chunk->hole) {
        worker->offset = worker->size == 0 ? chunk->offset : worker->offset;
        worker->size += chunk->length;
    }
    return TRUE;
}

static gboolean do_run(Sweep *sweep, Worker *worker, guint from, guint to, GError **error)
{
    const IngotDisk *disk = sweep->disk;
    const IngotChunk *first = ingot_index_chunk(disk->index, from), *last = ingot_index_chunk(disk->index, to - 1);
    gsize size = last->stored_offset + last->stored_length - first->stored_offset;
    g_byte_array_set_size(worker->frames, (guint)size);
    if (!ingot_interrupt_check(error) ||
        !ingot_file_pread(disk->fd, worker->frames->data, size, first->stored_offset, disk->path, error)) {
        return FALSE;
    }
    for (const IngotChunk *chunk = first; chunk <= last; chunk++) {
        const guint8 *frame = worker->frames->data + (chunk->stored_offset - first->stored_offset);
        if (!do_chunk(sweep, worker, chunk, frame, error)) {
            return FALSE;
        }
    }
    ingot_progress_add(sweep->progress, last->offset + last->length - first->offset);
    return flush(sweep, worker, error);
}

static gpointer sweep_thread(gpointer user)
{
    Sweep *sweep = user;
    Worker worker = {.decoder = ingot_decoder_new(), .frames = g_byte_array_new()};
    worker.data = g_malloc(DATA_SIZE + chunker_max(sweep->disk->index->average));
    guint from, to;
    while (take_run(sweep, &from, &to)) {
        GError *failure = NULL;
        if (!do_run(sweep, &worker, from, to, &failure)) {
            fail(sweep, failure);
        }
    }
    ingot_decoder_free(worker.decoder);
    g_byte_array_unref(worker.frames);
    g_free(worker.data);
    return NULL;
}

static gboolean sweep_all(Sweep *sweep, GError **error)
{
    guint count = MIN(g_get_num_processors(), THREADS_MAX);
    GThread *threads[THREADS_MAX];
    g_mutex_init(&sweep->lock);
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

static gboolean write_file(IngotDisk *disk, int fd, const char *name, IngotDiskFormat format, IngotProgress *progress,
                           GError **error)
{
    g_autoptr(Qcow2) qcow2 = format == INGOT_DISK_QCOW2 ? qcow2_new(disk->index) : NULL;
    guint64 size = qcow2 == NULL ? disk->index->disk_size : qcow2_file_size(qcow2);
    if (ftruncate(fd, (off_t)size) != 0) {
        return ingot_error_set_errno(error, errno, "%s: cannot be %" G_GUINT64_FORMAT " bytes long", name, size);
    }
    if (qcow2 != NULL && !qcow2_write_metadata(qcow2, fd, name, error)) {
        return FALSE;
    }
    Sweep sweep = {.disk = disk, .fd = fd, .name = name, .qcow2 = qcow2, .progress = progress};
    return sweep_all(&sweep, error);
}

/* The rename would put a file in the place of a device or a folder. */
static gboolean check_target(const char *path, GError **error)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: is no plain file; give a name of a new one", path);
        return FALSE;
    }
    return TRUE;
}

gboolean ingot_disk_export(IngotDisk *disk, const char *path, IngotDiskFormat format, IngotProgress *progress,
                           GError **error)
{
    g_autofree char *temporary = g_strdup_printf("%s.ingot-%d", path, (int)getpid());
    if (!check_target(path, error)) {
        return FALSE;
    }
    unlink(temporary); /* of a process that was killed and had our number */
    g_auto(IngotFd) fd = ingot_file_open(temporary, O_RDWR | O_CREAT | O_EXCL, 0644, error);
    if (fd < 0) {
        return FALSE;
    }
    if (write_file(disk, fd, path, format, progress, error)) {
        if (rename(temporary, path) == 0) {
            return TRUE;
        }
        ingot_error_set_errno(error, errno, "%s", path);
    }
    unlink(temporary);
    return FALSE;
}
