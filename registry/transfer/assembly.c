#include "transfer/assembly.h"

#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <unistd.h>

#include "base/crew.h"
#include "base/file.h"
#include "base/process.h"
#include "image/encoder.h"

#define RUN 64u /* chunks that a thread takes at once */
#define THREADS_MAX 8u
#define COPY_MAX (4u << 20)   /* bytes copied from a seed at once */
#define CHECKED_AT_ONCE 16u   /* frames */
#define HASH_LEAST (1u << 20) /* bytes that are worth a turn while more come */
#define HASH_MOST (16u << 20) /* bytes of one turn */
#define READ_MAX (1u << 20)   /* bytes that are hashed at once */

typedef struct {
    Assembly *assembly;
    IngotDecoder *decoder;
    IngotEncoder *encoder;
    guint8 *data, *frame;
    GByteArray *copy; /* neighbours of one seed on their way to the blob */
    guint copy_first; /* chunk */
    guint64 copy_from, copy_to;
    guint source; /* the seed that is open as fd; 0: none */
    int fd;
} Worker;

void assembly_init(Assembly *assembly, IngotIndex *index)
{
    guint count = MAX(index->chunks->len, 1);
    assembly->index = index;
    assembly->states = g_new0(guint8, count);
    assembly->come = g_new0(guint32, count);
    assembly->arrived = g_array_new(FALSE, FALSE, sizeof(guint));
    assembly->doubtful = g_array_new(FALSE, FALSE, sizeof(guint));
    assembly->hasher = ingot_hasher_new();
    g_mutex_init(&assembly->lock);
    g_cond_init(&assembly->changed);
}

void assembly_clear(Assembly *assembly)
{
    g_free(assembly->states);
    g_free(assembly->come);
    g_array_unref(assembly->arrived);
    g_array_unref(assembly->doubtful);
    ingot_hasher_free(assembly->hasher);
    g_clear_error(&assembly->failure);
    g_mutex_clear(&assembly->lock);
    g_cond_clear(&assembly->changed);
}

static Worker *worker_new(Assembly *assembly)
{
    Worker *worker = g_new0(Worker, 1);
    worker->assembly = assembly;
    worker->decoder = ingot_decoder_new();
    worker->encoder = ingot_encoder_new();
    worker->data = g_malloc(INGOT_HOLE_MAX);
    worker->frame = g_malloc(ingot_encoder_bound(INGOT_HOLE_MAX));
    worker->copy = g_byte_array_new();
    worker->fd = -1;
    return worker;
}

static void worker_free(Worker *worker)
{
    ingot_decoder_free(worker->decoder);
    ingot_encoder_free(worker->encoder);
    g_free(worker->data);
    g_free(worker->frame);
    g_byte_array_unref(worker->copy);
    ingot_fd_clear(&worker->fd);
    g_free(worker);
}

/* --- what is told of a frame --- */

/* Under the lock. */
static void note_behind(Assembly *assembly)
{
    while (assembly->behind < assembly->index->chunks->len && assembly->states[assembly->behind] == FRAME_THERE) {
        assembly->behind_size += ingot_index_chunk(assembly->index, assembly->behind)->stored_length;
        assembly->behind++;
    }
    if (assembly->behind_size >= HASH_LEAST) {
        g_cond_signal(&assembly->changed);
    }
}

static void set_states(Assembly *assembly, guint first, guint end, FrameState state)
{
    if (first < end) {
        g_mutex_lock(&assembly->lock);
        memset(assembly->states + first, (int)state, end - first);
        note_behind(assembly);
        g_mutex_unlock(&assembly->lock);
    }
}

static void note_there(Assembly *assembly, guint first, guint end)
{
    for (guint i = first; i < end; i++) {
        ingot_progress_add(assembly->progress, ingot_index_chunk(assembly->index, i)->stored_length);
    }
    set_states(assembly, first, end, FRAME_THERE);
}

/* Owns problem. */
static void assembly_fail(Assembly *assembly, GError *problem)
{
    g_mutex_lock(&assembly->lock);
    if (assembly->failure == NULL) {
        assembly->failure = g_steal_pointer(&problem);
    }
    g_cond_broadcast(&assembly->changed);
    g_mutex_unlock(&assembly->lock);
    g_clear_error(&problem);
}

static gboolean has_failed(Assembly *assembly, GError **error)
{
    g_mutex_lock(&assembly->lock);
    gboolean failed = assembly->failure != NULL;
    if (failed && error != NULL) {
        *error = g_error_copy(assembly->failure);
    }
    g_mutex_unlock(&assembly->lock);
    return failed;
}

/* --- placing --- */

gboolean assembly_has_local(const Assembly *assembly, guint chunk)
{
    Seed seed;
    const IngotChunk *wanted = ingot_index_chunk(assembly->index, chunk);
    return wanted->hole ? assembly->own_encoder : assembly->seeds != NULL && seeds_get(assembly->seeds, wanted, &seed);
}

static gboolean open_source(Worker *worker, guint source)
{
    if (worker->source != source) {
        ingot_fd_clear(&worker->fd);
        worker->fd = seeds_open(worker->assembly->seeds, source);
        worker->source = source;
    }
    return worker->fd >= 0;
}

/* Frames that were copied from a seed that was wrong before: those that are not what they should be are fetched. */
static void check_copy(const Worker *worker, guint end)
{
    for (guint i = worker->copy_first; i < end; i++) {
        const IngotChunk *chunk = ingot_index_chunk(worker->assembly->index, i);
        const guint8 *frame = worker->copy->data + (chunk->stored_offset - worker->copy_to);
        if (ingot_decoder_chunk(worker->decoder, chunk, frame, worker->data, "", NULL)) {
            note_there(worker->assembly, i, i + 1);
        } else {
            set_states(worker->assembly, i, i + 1, FRAME_LATE);
        }
    }
}

/* Copies the collected neighbours, up to `end`. A seed that can't be read any more is none. */
static gboolean flush_copy(Worker *worker, guint end, GError **error)
{
    Assembly *assembly = worker->assembly;
    GByteArray *copy = worker->copy;
    gsize size = copy->len;
    g_byte_array_set_size(copy, 0);
    if (size == 0) {
        return TRUE;
    }
    if (worker->fd < 0 || !ingot_file_pread(worker->fd, copy->data, size, worker->copy_from, "", NULL)) {
        set_states(assembly, worker->copy_first, end, FRAME_LATE);
        return TRUE;
    }
    if (!ingot_file_pwrite(assembly->fd, copy->data, size, worker->copy_to, assembly->name, error)) {
        return FALSE;
    }
    if (seeds_is_doubted(assembly->seeds, worker->source)) {
        check_copy(worker, end);
    } else {
        note_there(assembly, worker->copy_first, end);
    }
    return TRUE;
}

static gboolean copy_seed(Worker *worker, const Seed *seed, guint i, GError **error)
{
    const IngotChunk *chunk = ingot_index_chunk(worker->assembly->index, i);
    gsize size = worker->copy->len;
    gboolean follows = size > 0 && size < COPY_MAX && seed->source == worker->source &&
                       seed->offset == worker->copy_from + size && chunk->stored_offset == worker->copy_to + size;
    if (!follows) {
        if (!flush_copy(worker, i, error)) {
            return FALSE;
        }
        open_source(worker, seed->source);
        worker->copy_first = i;
        worker->copy_from = seed->offset;
        worker->copy_to = chunk->stored_offset;
    }
    g_byte_array_set_size(worker->copy, worker->copy->len + seed->length);
    return TRUE;
}

static gboolean place_hole(Worker *worker, guint i, GError **error)
{
    Assembly *assembly = worker->assembly;
    const IngotChunk *chunk = ingot_index_chunk(assembly->index, i);
    GBytes *frame = ingot_encoder_hole(worker->encoder, chunk->length);
    if (g_bytes_get_size(frame) != chunk->stored_length) {
        set_states(assembly, i, i + 1, FRAME_LATE);
        return TRUE;
    }
    if (!ingot_file_pwrite(assembly->fd, g_bytes_get_data(frame, NULL), chunk->stored_length, chunk->stored_offset,
                           assembly->name, error)) {
        return FALSE;
    }
    note_there(assembly, i, i + 1);
    return TRUE;
}

/* Puts the chunks of a run in their places that can be had here. */
static gboolean place_run(Worker *worker, guint from, guint to, GError **error)
{
    const Assembly *assembly = worker->assembly;
    for (guint i = from; i < to; i++) {
        const IngotChunk *chunk = ingot_index_chunk(assembly->index, i);
        Seed seed;
        gboolean copied =
            assembly->states[i] == FRAME_MISSING && assembly->seeds != NULL && seeds_get(assembly->seeds, chunk, &seed);
        if (copied ? !copy_seed(worker, &seed, i, error) : !flush_copy(worker, i, error)) {
            return FALSE;
        }
        if (chunk->hole && assembly->own_encoder && assembly->states[i] == FRAME_MISSING &&
            !place_hole(worker, i, error)) {
            return FALSE;
        }
    }
    return flush_copy(worker, to, error) && ingot_interrupt_check(error);
}

/* --- checking --- */

/* Reads a frame of the file and checks it. */
static gboolean check_frame(const Worker *worker, guint i, GError **error)
{
    const Assembly *assembly = worker->assembly;
    const IngotChunk *chunk = ingot_index_chunk(assembly->index, i);
    return ingot_file_pread(assembly->fd, worker->frame, chunk->stored_length, chunk->stored_offset, assembly->name,
                            error) &&
           ingot_decoder_chunk(worker->decoder, chunk, worker->frame, chunk->hole ? NULL : worker->data, assembly->name,
                               error);
}

static void check_frames(const Worker *worker, const guint *chunks, guint count)
{
    Assembly *assembly = worker->assembly;
    for (guint i = 0; i < count; i++) {
        if (!check_frame(worker, chunks[i], NULL)) {
            g_mutex_lock(&assembly->lock);
            g_array_append_val(assembly->doubtful, chunks[i]);
            g_mutex_unlock(&assembly->lock);
        }
    }
}

static void recognize_run(const Worker *worker, guint from, guint to)
{
    for (guint i = from; i < to; i++) {
        if (check_frame(worker, i, NULL)) {
            note_there(worker->assembly, i, i + 1);
        }
    }
}

/* Of the chunks: the next to be placed, or recognized. FALSE: there is none. */
static gboolean take_run(Assembly *assembly, guint *from, guint *to)
{
    *from = assembly->next;
    *to = assembly->next = MIN(assembly->next + RUN, assembly->index->chunks->len);
    return *from < *to;
}

static gpointer recognize_thread(gpointer user)
{
    Assembly *assembly = user;
    Worker *worker = worker_new(assembly);
    GError *problem = NULL;
    guint from, to;
    for (gboolean more = TRUE; more;) {
        g_mutex_lock(&assembly->lock);
        more = take_run(assembly, &from, &to) && assembly->failure == NULL;
        g_mutex_unlock(&assembly->lock);
        if (more && ingot_interrupt_check(&problem)) {
            recognize_run(worker, from, to);
        } else if (problem != NULL) {
            assembly_fail(assembly, g_steal_pointer(&problem));
        }
    }
    worker_free(worker);
    return NULL;
}

static guint threads_wanted(void)
{
    return MIN(g_get_num_processors(), THREADS_MAX);
}

static gboolean assembly_succeeded(Assembly *assembly, GError **error)
{
    if (assembly->failure != NULL) {
        g_propagate_error(error, g_steal_pointer(&assembly->failure));
        return FALSE;
    }
    return TRUE;
}

gboolean assembly_recognize(Assembly *assembly, GError **error)
{
    guint count = assembly->index->chunks->len;
    memset(assembly->states, FRAME_MISSING, count);
    memset(assembly->come, 0, count * sizeof *assembly->come);
    g_array_set_size(assembly->doubtful, 0);
    assembly->next = assembly->behind = assembly->hashed = 0;
    assembly->behind_size = 0;
    ingot_hasher_free(assembly->hasher);
    assembly->hasher = ingot_hasher_new();
    crew_run("recognize", threads_wanted(), recognize_thread, assembly);
    assembly->next = 0;
    return assembly_succeeded(assembly, error);
}

/* --- hashing --- */

/* The beginning, which is in the file, from where it is hashed. It begins to be written, too: the store syncs it in the
 * end. */
static gboolean hash_some(const Worker *worker, guint64 from, guint64 to, GError **error)
{
    const Assembly *assembly = worker->assembly;
    for (guint64 at = from; at < to; at += READ_MAX) {
        gsize size = MIN(to - at, READ_MAX);
        if (!ingot_file_pread(assembly->fd, worker->data, size, at, assembly->name, error)) {
            return FALSE;
        }
        ingot_hasher_add(assembly->hasher, worker->data, size);
    }
    sync_file_range(assembly->fd, (off64_t)from, (off64_t)(to - from), SYNC_FILE_RANGE_WRITE);
    return TRUE;
}

/* --- threads --- */

typedef enum { JOB_PLACE, JOB_HASH, JOB_CHECK, JOB_END } JobKind;

typedef struct {
    JobKind kind;
    guint from, to; /* chunks; to be placed, or hashed */
    guint64 start, end;
    guint checked[CHECKED_AT_ONCE];
    guint count;
} Job;

static guint64 place_of(const Assembly *assembly, guint chunk)
{
    return chunk < assembly->index->chunks->len ? ingot_index_chunk(assembly->index, chunk)->stored_offset
                                                : assembly->index->blob_size;
}

/* Under the lock. */
static gboolean take_hash(Assembly *assembly, Job *job)
{
    gboolean more = (assembly->coming || assembly->next < assembly->index->chunks->len) &&
                    assembly->behind < assembly->index->chunks->len;
    if (assembly->hashing || assembly->hashed == assembly->behind || (more && assembly->behind_size < HASH_LEAST)) {
        return FALSE;
    }
    job->start = place_of(assembly, assembly->hashed);
    for (job->to = assembly->hashed; job->to < assembly->behind; job->to++) {
        if (place_of(assembly, job->to) - job->start >= HASH_MOST) {
            break;
        }
    }
    job->end = place_of(assembly, job->to);
    assembly->behind_size -= job->end - job->start;
    assembly->hashing = TRUE;
    return TRUE;
}

/* Under the lock. */
static gboolean take_checks(Assembly *assembly, Job *job)
{
    GArray *arrived = assembly->arrived;
    job->count = MIN(arrived->len, CHECKED_AT_ONCE);
    for (guint i = 0; i < job->count; i++) {
        job->checked[i] = g_array_index(arrived, guint, arrived->len - 1 - i);
    }
    g_array_set_size(arrived, arrived->len - job->count);
    return job->count > 0;
}

/* Waits until there is one, or nothing more comes. One thread hashes what is behind, which only reads, while the others
 * place: two that write into one file wait for each other. */
static JobKind take_job(Assembly *assembly, Job *job)
{
    g_mutex_lock(&assembly->lock);
    for (;;) {
        job->kind = assembly->failure != NULL                  ? JOB_END
                    : take_hash(assembly, job)                 ? JOB_HASH
                    : take_run(assembly, &job->from, &job->to) ? JOB_PLACE
                    : take_checks(assembly, job)               ? JOB_CHECK
                                                               : JOB_END;
        if (job->kind != JOB_END || assembly->failure != NULL || !assembly->coming) {
            break;
        }
        g_cond_wait(&assembly->changed, &assembly->lock);
    }
    g_mutex_unlock(&assembly->lock);
    return job->kind;
}

static void end_hash(Assembly *assembly, guint to)
{
    g_mutex_lock(&assembly->lock);
    assembly->hashed = to;
    assembly->hashing = FALSE;
    g_mutex_unlock(&assembly->lock);
}

static gpointer work_thread(gpointer user)
{
    Assembly *assembly = user;
    Worker *worker = worker_new(assembly);
    Job job = {0};
    while (take_job(assembly, &job) != JOB_END) {
        GError *problem = NULL;
        if (job.kind == JOB_PLACE) {
            place_run(worker, job.from, job.to, &problem);
        } else if (job.kind == JOB_CHECK) {
            check_frames(worker, job.checked, job.count);
        } else {
            hash_some(worker, job.start, job.end, &problem);
            end_hash(assembly, job.to);
        }
        if (problem != NULL) {
            assembly_fail(assembly, problem);
        }
    }
    worker_free(worker);
    return NULL;
}

/* What interrupts the thread that fetches interrupts each. */
static gpointer helper_thread(gpointer user)
{
    Assembly *assembly = user;
    if (assembly->cancellable != NULL) {
        g_cancellable_push_current(assembly->cancellable);
    }
    work_thread(assembly);
    if (assembly->cancellable != NULL) {
        g_cancellable_pop_current(assembly->cancellable);
    }
    return NULL;
}

gboolean assembly_run(Assembly *assembly, gboolean (*fetch)(gpointer user, GError **error), gpointer user,
                      GError **error)
{
    g_autoptr(GPtrArray) threads = g_ptr_array_new();
    GError *problem = NULL;
    assembly->coming = TRUE;
    assembly->cancellable = g_cancellable_get_current();
    for (guint i = 0; i < threads_wanted(); i++) {
        GThread *thread = crew_thread("assemble", helper_thread, assembly, NULL);
        if (thread != NULL) {
            g_ptr_array_add(threads, thread);
        }
    }
    if (!fetch(user, &problem)) {
        assembly_fail(assembly, problem);
    }
    g_mutex_lock(&assembly->lock);
    assembly->coming = FALSE;
    g_cond_broadcast(&assembly->changed);
    g_mutex_unlock(&assembly->lock);
    if (threads->len == 0) {
        work_thread(assembly); /* the system gives no others */
    }
    for (guint i = 0; i < threads->len; i++) {
        g_thread_join(g_ptr_array_index(threads, i));
    }
    return assembly_succeeded(assembly, error);
}

/* --- what comes --- */

/* The number of the chunk whose frame has that byte of the blob. */
static guint frame_at(const IngotIndex *index, guint64 offset)
{
    guint low = 0, high = index->chunks->len;
    while (high - low > 1) {
        guint middle = low + (high - low) / 2;
        if (ingot_index_chunk(index, middle)->stored_offset <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Some of the frame has come. */
static void frame_came(Assembly *assembly, guint i, guint64 bytes)
{
    assembly->come[i] += (guint32)bytes;
    if (assembly->come[i] < ingot_index_chunk(assembly->index, i)->stored_length) {
        return;
    }
    g_mutex_lock(&assembly->lock);
    assembly->states[i] = FRAME_THERE;
    g_array_append_val(assembly->arrived, i);
    note_behind(assembly);
    g_cond_signal(&assembly->changed);
    g_mutex_unlock(&assembly->lock);
}

gboolean assembly_add(Assembly *assembly, guint64 offset, const void *data, gsize size, GError **error)
{
    guint64 end = offset + size;
    if (has_failed(assembly, error) || !ingot_file_pwrite(assembly->fd, data, size, offset, assembly->name, error)) {
        return FALSE;
    }
    ingot_progress_add(assembly->progress, size);
    for (guint i = frame_at(assembly->index, offset); i < assembly->index->chunks->len; i++) {
        const IngotChunk *chunk = ingot_index_chunk(assembly->index, i);
        guint64 from = MAX(chunk->stored_offset, offset), to = MIN(chunk->stored_offset + chunk->stored_length, end);
        if (from >= to) {
            break;
        }
        frame_came(assembly, i, to - from);
    }
    return TRUE;
}

/* --- the end --- */

gboolean assembly_end(Assembly *assembly, GError **error)
{
    if (assembly->doubtful->len == 0) {
        return TRUE;
    }
    Worker *worker = worker_new(assembly);
    gboolean ok = TRUE;
    for (guint i = 0; ok && i < assembly->doubtful->len; i++) {
        ok = check_frame(worker, g_array_index(assembly->doubtful, guint, i), error);
    }
    worker_free(worker);
    return ok;
}

gboolean assembly_is_partly_right(const Assembly *assembly)
{
    return assembly->doubtful->len > 0 && assembly->doubtful->len < assembly->index->chunks->len;
}
