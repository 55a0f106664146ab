/* Reader (the caller's thread: reads, cuts) -> workers (digest, take or make the frame) -> writer (in order: hashes,
 * writes). At most `window` batches are on the way, so memory is bounded whatever the disk's size. */
#include <ingot/error.h>
#include <ingot/packer.h>
#include <string.h>

#include "base/crew.h"
#include "base/file.h"
#include "base/text.h"
#include "image/chunker.h"
#include "image/cutter.h"
#include "image/encoder.h"
#include "image/frames.h"

#define BATCH_SIZE (1u << 20) /* bytes of data in one batch */
#define BATCH_PIECES 1024u    /* chunks and holes in one batch */
#define WINDOW_MAX 32u        /* batches: with their frames some 80 MiB */

/* One piece of a batch: a chunk, or a hole. */
typedef struct {
    const guint8 *data; /* NULL: a hole */
    guint32 length, stored;
    gboolean taken; /* its frame was made before */
    IngotDigest digest, frame;
    FrameSum sum; /* of its frame */
} Piece;

typedef struct {
    GArray *pieces;
    GPtrArray *blocks; /* of CutterBlock: where the pieces' data lies */
    guint8 *frames;
    gsize size; /* of the data */
    gboolean done;
} Batch;

typedef struct {
    guint32 average;
    int fd;
    const char *name, *disk;   /* of the blob and of what is packed, for errors */
    const IngotFrames *frames; /* may be NULL */

    GPtrArray *workers; /* of GThread; none where the system gives none: the reader does their work then */
    GAsyncQueue *to_do; /* of Batch, for the workers; the packer itself, once for each, is the end */
    GAsyncQueue *idle_encoders;
    GAsyncQueue *order; /* of Batch, as they must be written; the end is the packer itself */
    GMutex lock;
    GCond changed; /* a batch is done, or has left */
    guint window, under_way;
    GError *failure; /* of the writer */

    Batch *batch; /* being filled */
    guint pieces; /* in all */

    IngotIndex *index;
    GArray *sums; /* of FrameSum: of the index's chunks that are no holes */
    IngotHasher *hasher;
    IngotEncoder *hole_encoder;
    IngotPacked *packed;
} Packer;

void ingot_packed_free(IngotPacked *packed)
{
    if (packed != NULL) {
        ingot_index_unref(packed->index);
        g_clear_pointer(&packed->table, g_bytes_unref);
        g_free(packed);
    }
}

static Batch *batch_new(void)
{
    Batch *batch = g_new0(Batch, 1);
    batch->pieces = g_array_new(FALSE, TRUE, sizeof(Piece));
    batch->blocks = g_ptr_array_new_with_free_func((GDestroyNotify)cutter_block_unref);
    return batch;
}

static void batch_free(Batch *batch)
{
    g_array_unref(batch->pieces);
    g_ptr_array_unref(batch->blocks);
    g_free(batch->frames);
    g_free(batch);
}

/* --- workers --- */

/* The frame of the piece's chunk, at `frame`; taken where one is made already. */
static void piece_encode(const Packer *packer, IngotEncoder *encoder, Piece *piece, guint8 *frame)
{
    ingot_digest_of(piece->data, piece->length, &piece->digest);
    piece->taken = packer->frames != NULL &&
                   frames_take(packer->frames, &piece->digest, piece->length, frame, &piece->stored, &piece->sum);
    if (!piece->taken) {
        piece->stored = (guint32)ingot_encoder_frame(encoder, piece->data, piece->length, frame);
        piece->sum = frame_sum(frame, piece->stored);
    }
    ingot_digest_of(frame, piece->stored, &piece->frame);
}

static void work(Packer *packer, Batch *batch)
{
    IngotEncoder *encoder = g_async_queue_pop(packer->idle_encoders);
    gsize bound = 0, to = 0;
    for (guint i = 0; i < batch->pieces->len; i++) {
        const Piece *piece = &g_array_index(batch->pieces, Piece, i);
        bound += piece->data == NULL ? 0 : ingot_encoder_bound(piece->length);
    }
    batch->frames = g_malloc(MAX(bound, 1));
    for (guint i = 0; i < batch->pieces->len; i++) {
        Piece *piece = &g_array_index(batch->pieces, Piece, i);
        if (piece->data != NULL) {
            piece_encode(packer, encoder, piece, batch->frames + to);
            to += piece->stored;
        }
    }
    g_ptr_array_set_size(batch->blocks, 0);
    g_async_queue_push(packer->idle_encoders, encoder);
    g_mutex_lock(&packer->lock);
    batch->done = TRUE;
    g_cond_broadcast(&packer->changed);
    g_mutex_unlock(&packer->lock);
}

static gpointer work_all(gpointer user)
{
    Packer *packer = user;
    for (;;) {
        gpointer next = g_async_queue_pop(packer->to_do);
        if (next == packer) {
            return NULL;
        }
        work(packer, next);
    }
}

/* --- writer --- */

static gboolean put(Packer *packer, const void *data, gsize size, GError **error)
{
    ingot_hasher_add(packer->hasher, data, size);
    if (!ingot_file_pwrite(packer->fd, data, size, packer->packed->size, packer->name, error)) {
        return FALSE;
    }
    packer->packed->size += size;
    return TRUE;
}

static void add_hole_frame(IngotIndex *index, GBytes *frame)
{
    IngotDigest digest;
    ingot_digest_of(g_bytes_get_data(frame, NULL), g_bytes_get_size(frame), &digest);
    g_array_append_val(index->frames, digest);
}

static gboolean write_batch(Packer *packer, const Batch *batch, GError **error)
{
    gsize from = 0, to = 0;
    for (guint i = 0; i < batch->pieces->len; i++) {
        const Piece *piece = &g_array_index(batch->pieces, Piece, i);
        if (piece->data != NULL) {
            ingot_index_add(packer->index, &piece->digest, piece->length, piece->stored);
            g_array_append_val(packer->sums, piece->sum);
            g_array_append_val(packer->index->frames, piece->frame);
            packer->packed->data += piece->length;
            packer->packed->taken += piece->taken ? piece->length : 0;
            to += piece->stored;
            continue;
        }
        GBytes *frame = ingot_encoder_hole(packer->hole_encoder, piece->length);
        if (!put(packer, batch->frames + from, to - from, error) ||
            !put(packer, g_bytes_get_data(frame, NULL), g_bytes_get_size(frame), error)) {
            return FALSE;
        }
        from = to;
        add_hole_frame(packer->index, frame);
        ingot_index_add(packer->index, NULL, piece->length, (guint32)g_bytes_get_size(frame));
    }
    return put(packer, batch->frames + from, to - from, error);
}

/* After a failure the batches are taken and dropped, so that the reader never waits in vain. */
static gpointer write_all(gpointer user)
{
    Packer *packer = user;
    for (;;) {
        Batch *batch = g_async_queue_pop(packer->order);
        if ((gpointer)batch == packer) {
            return NULL;
        }
        g_mutex_lock(&packer->lock);
        while (!batch->done) {
            g_cond_wait(&packer->changed, &packer->lock);
        }
        g_mutex_unlock(&packer->lock);
        GError *failure = NULL;
        if (packer->failure == NULL) {
            write_batch(packer, batch, &failure);
        }
        batch_free(batch);
        g_mutex_lock(&packer->lock);
        if (failure != NULL) {
            packer->failure = failure;
        }
        packer->under_way--;
        g_cond_broadcast(&packer->changed);
        g_mutex_unlock(&packer->lock);
    }
}

/* --- reader --- */

/* The writer's error, if there is one, is reported in place of any other. */
static gboolean writer_failed(Packer *packer)
{
    g_mutex_lock(&packer->lock);
    gboolean failed = packer->failure != NULL;
    g_mutex_unlock(&packer->lock);
    return failed;
}

static void send_batch(Packer *packer)
{
    g_mutex_lock(&packer->lock);
    while (packer->under_way >= packer->window) {
        g_cond_wait(&packer->changed, &packer->lock);
    }
    packer->under_way++;
    g_mutex_unlock(&packer->lock);
    g_async_queue_push(packer->order, packer->batch);
    if (packer->workers->len == 0) {
        work(packer, packer->batch);
    } else {
        g_async_queue_push(packer->to_do, packer->batch);
    }
    packer->batch = batch_new();
}

/* A CutterFunc. */
static gboolean add_piece(gpointer user, CutterBlock *block, const guint8 *data, gsize length, GError **error)
{
    Packer *packer = user;
    if (packer->pieces == INGOT_INDEX_CHUNKS_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT,
                    "%s: the disk has more than %u runs of data and zeros, and an image holds no more", packer->disk,
                    INGOT_INDEX_CHUNKS_MAX);
        return FALSE;
    }
    packer->pieces++;
    Batch *batch = packer->batch;
    Piece piece = {.data = data, .length = (guint32)length};
    g_array_append_val(batch->pieces, piece);
    if (block != NULL &&
        (batch->blocks->len == 0 || g_ptr_array_index(batch->blocks, batch->blocks->len - 1) != block)) {
        g_ptr_array_add(batch->blocks, g_atomic_rc_box_acquire(block));
    }
    batch->size += data == NULL ? 0 : length;
    if (batch->size >= BATCH_SIZE || batch->pieces->len >= BATCH_PIECES) {
        send_batch(packer);
        return !writer_failed(packer);
    }
    return TRUE;
}

/* --- the whole --- */

static void start(Packer *packer, guint threads)
{
    g_mutex_init(&packer->lock);
    g_cond_init(&packer->changed);
    packer->window = MIN(threads * 4, WINDOW_MAX);
    packer->order = g_async_queue_new();
    packer->idle_encoders = g_async_queue_new_full((GDestroyNotify)ingot_encoder_free);
    for (guint i = 0; i < threads; i++) {
        g_async_queue_push(packer->idle_encoders, ingot_encoder_new());
    }
    packer->batch = batch_new();
    packer->index = ingot_index_new(ingot_encoder_name(), packer->average);
    packer->sums = g_array_new(FALSE, FALSE, sizeof(FrameSum));
    packer->index->frames = g_array_new(FALSE, FALSE, sizeof(IngotDigest));
    packer->hasher = ingot_hasher_new();
    packer->hole_encoder = ingot_encoder_new();
    packer->packed = g_new0(IngotPacked, 1);
    packer->packed->index = packer->index;
}

/* As many as there may be. */
static void start_workers(Packer *packer, guint threads)
{
    GThread *thread;
    packer->to_do = g_async_queue_new();
    packer->workers = g_ptr_array_new();
    while (packer->workers->len < threads && (thread = g_thread_try_new("pack", work_all, packer, NULL)) != NULL) {
        g_ptr_array_add(packer->workers, thread);
    }
}

static void stop_workers(Packer *packer)
{
    for (guint i = 0; i < packer->workers->len; i++) {
        g_async_queue_push(packer->to_do, packer);
    }
    for (guint i = 0; i < packer->workers->len; i++) {
        g_thread_join(g_ptr_array_index(packer->workers, i));
    }
    g_ptr_array_unref(packer->workers);
    g_async_queue_unref(packer->to_do);
}

static void stop(Packer *packer)
{
    batch_free(packer->batch);
    g_async_queue_unref(packer->order);
    g_async_queue_unref(packer->idle_encoders);
    g_array_unref(packer->sums);
    ingot_hasher_free(packer->hasher);
    ingot_encoder_free(packer->hole_encoder);
    g_mutex_clear(&packer->lock);
    g_cond_clear(&packer->changed);
}

static gboolean finish(Packer *packer, GError **error)
{
    g_autoptr(GBytes) table = ingot_seek_table(packer->index);
    if (!put(packer, g_bytes_get_data(table, NULL), g_bytes_get_size(table), error)) {
        return FALSE;
    }
    ingot_hasher_finish(packer->hasher, &packer->packed->digest);
    packer->packed->table = frames_table(packer->index, packer->sums);
    return TRUE;
}

/* Such that an index holds a disk full of data, with room for some chunks that end early. */
static guint32 average_for(guint64 size)
{
    guint32 average = CHUNKER_AVERAGE;
    while (size / average > (guint64)INGOT_INDEX_CHUNKS_MAX / 4 * 3 && chunker_average_valid(average * 2)) {
        average *= 2;
    }
    return average;
}

/* Even zeros take a chunk each INGOT_HOLE_MAX. */
static gboolean check_size(const IngotBlocks *blocks, guint32 average, GError **error)
{
    const guint64 size = ingot_blocks_size(blocks), most = (guint64)INGOT_INDEX_CHUNKS_MAX * INGOT_HOLE_MAX;
    if (!chunker_average_valid(average) || size == 0 || size % 512 != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: a disk of %" G_GUINT64_FORMAT " bytes in chunks of %u: the size must be a multiple of 512 "
                    "above 0, the chunks a power of two from 16 KiB to 1 MiB",
                    ingot_blocks_path(blocks), size, average);
        return FALSE;
    }
    if (size > most) {
        g_autofree char *has = ingot_text_size(size), *holds = ingot_text_size(most);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT, "%s: a disk of %s, and an image holds at most %s",
                    ingot_blocks_path(blocks), has, holds);
        return FALSE;
    }
    return TRUE;
}

IngotPacked *frames_pack(IngotBlocks *blocks, const IngotPackOptions *options, const IngotFrames *frames, int fd,
                         const char *name, GError **error)
{
    guint32 average = options->average == 0 ? average_for(ingot_blocks_size(blocks)) : options->average;
    if (!check_size(blocks, average, error)) {
        return NULL;
    }
    guint threads = MIN(options->threads == 0 ? g_get_num_processors() : options->threads, WINDOW_MAX);
    Packer packer = {.average = average, .fd = fd, .name = name, .disk = ingot_blocks_path(blocks), .frames = frames};
    start(&packer, threads);
    /* The writer first: without the workers it can be done, without the writer not. */
    GThread *writer = crew_thread("pack-write", write_all, &packer, error);
    start_workers(&packer, writer == NULL ? 0 : threads);
    gboolean ok = writer != NULL && cutter_run(blocks, average, options->progress, add_piece, &packer, error);
    if (ok && packer.batch->pieces->len > 0) {
        send_batch(&packer);
    }
    g_async_queue_push(packer.order, &packer);
    if (writer != NULL) {
        g_thread_join(writer);
    }
    stop_workers(&packer);
    if (packer.failure != NULL) {
        ok = FALSE;
        g_clear_error(error);
        g_propagate_error(error, packer.failure);
    }
    ok = ok && ingot_blocks_check_unchanged(blocks, error) && finish(&packer, error);
    stop(&packer);
    if (!ok) {
        g_clear_pointer(&packer.packed, ingot_packed_free);
    }
    return packer.packed;
}

IngotPacked *ingot_pack(IngotBlocks *blocks, const IngotPackOptions *options, int fd, const char *name, GError **error)
{
    return frames_pack(blocks, options, NULL, fd, name, error);
}
