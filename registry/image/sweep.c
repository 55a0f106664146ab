/* The whole disk, on all cores: each thread takes the next run of chunks, reads their frames at once, checks each chunk
 * and hands it on. Nobody waits for anybody. */
#include <ingot/error.h>

#include "base/crew.h"
#include "base/process.h"
#include "image/chunker.h"
#include "image/disk.h"

#define RUN_CHUNKS 64u          /* at most, in one run */
#define RUN_FRAMES (512u << 10) /* bytes of frames after which a run ends */
#define DATA_SIZE (1u << 20)    /* bytes of neighbours that are handed on at once */
#define THREADS_MAX 16u

typedef struct {
    IngotDisk *disk;
    IngotDiskTake take; /* NULL: verify only */
    gpointer user;
    IngotProgress *progress;
    GMutex lock;
    guint next;      /* the first chunk that nobody has taken */
    GError *failure; /* the first */
} Sweep;

/* What one thread works with. */
typedef struct {
    IngotDecoder *decoder;
    GByteArray *frames;
    guint8 *data; /* neighbouring chunks that are not handed on yet */
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
    return size == 0 || sweep->take == NULL || sweep->take(worker->offset, worker->data, size, sweep->user, error);
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
    if (!disk_decode(sweep->disk, worker->decoder, chunk, frame, data, error)) {
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
        !disk->read(disk->blob, first->stored_offset, worker->frames->data, size, error)) {
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
    g_mutex_init(&sweep->lock);
    crew_run("disk", count, sweep_thread, sweep);
    g_mutex_clear(&sweep->lock);
    if (sweep->failure != NULL) {
        g_propagate_error(error, sweep->failure);
        return FALSE;
    }
    return TRUE;
}

gboolean ingot_disk_verify(IngotDisk *disk, IngotProgress *progress, GError **error)
{
    return ingot_disk_each(disk, NULL, NULL, progress, error);
}

gboolean ingot_disk_each(IngotDisk *disk, IngotDiskTake take, gpointer user, IngotProgress *progress, GError **error)
{
    if (disk->members != NULL) {
        return joined_each(disk, take, user, progress, error);
    }
    Sweep sweep = {.disk = disk, .take = take, .user = user, .progress = progress};
    return sweep_all(&sweep, error);
}
