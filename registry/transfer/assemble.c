#include "transfer/assemble.h"

#include "base/file.h"
#include "base/process.h"
#include "image/encoder.h"
#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crew.h"
#include "store/blobs.h"

#define GAP_MAX (16u << 10) /* bytes between two missing frames that are fetched along */
#define RUN 64u             /* chunks that a thread takes at once */
#define THREADS_MAX 8u
#define COPY_MAX (4u << 20) /* bytes copied from a seed at once */

/* Where a frame can be had in the store. */
typedef struct {
    int fd;
    guint64 offset;
    guint32 length;
} Seed;

typedef struct {
    IngotIndex *index;
    int fd;
    const char *name; /* of the blob, for errors */
    gboolean resumed;
    GHashTable *seeds;    /* IngotDigest -> Seed */
    gboolean own_encoder; /* our zeros give its hole frames */
    guint8 *have;         /* per chunk: it is in place; each byte is written by one thread */
    guint next;           /* chunk; atomic */
    GMutex lock;
    GError *failure;
    IngotProgress *progress;
    IngotDecoder *decoder; /* of the fetching thread */
    guint8 *data;
} Assembly;

/* --- seeds --- */

static void add_seeds(GHashTable *seeds, GArray *fds, IngotImage *image)
{
    int fd = open(image->disk_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    g_array_append_val(fds, fd);
    for (guint i = 0; i < image->index->chunks->len; i++) {
        const IngotChunk *chunk = ingot_index_chunk(image->index, i);
        if (!chunk->hole && !g_hash_table_contains(seeds, &chunk->digest)) {
            Seed *seed = g_new(Seed, 1);
            *seed = (Seed){.fd = fd, .offset = chunk->stored_offset, .length = chunk->stored_length};
            g_hash_table_insert(seeds, g_memdup2(&chunk->digest, sizeof chunk->digest), seed);
        }
    }
}

/* Frames of every image whose encoder is the same: others' would give another blob. A damaged image is no seed. */
static gboolean find_seeds(IngotStore *store, const IngotIndex *index, GHashTable *seeds, GArray *fds, GError **error)
{
    g_autoptr(GPtrArray) entries = ingot_store_list(store, error);
    for (guint i = 0; entries != NULL && i < entries->len; i++) {
        const IngotStoreEntry *entry = g_ptr_array_index(entries, i);
        g_autofree char *digest = ingot_digest_to_text(&entry->manifest.digest);
        g_autoptr(IngotReference) reference = ingot_reference_new(NULL, entry->name, entry->tag, digest);
        g_autoptr(IngotImage) image = ingot_store_image(store, reference, NULL);
        if (image != NULL && strcmp(image->index->encoder, index->encoder) == 0) {
            add_seeds(seeds, fds, image);
        }
    }
    return entries != NULL;
}

/* --- what is had already, on all cores --- */

typedef struct {
    IngotDecoder *decoder;
    IngotEncoder *encoder;
    guint8 *data, *frame;
    GByteArray *copy; /* neighbours of one seed on their way to the blob */
    int copy_fd;
    guint64 copy_from, copy_to;
} Worker;

/* Reads a frame of the blob and checks it; FALSE: it is not that chunk's. */
static gboolean check_frame(const Assembly *assembly, Worker *worker, const IngotChunk *chunk)
{
    return ingot_file_pread(assembly->fd, worker->frame, chunk->stored_length, chunk->stored_offset, "", NULL) &&
           ingot_decoder_chunk(worker->decoder, chunk, worker->frame, chunk->hole ? NULL : worker->data, "", NULL);
}

static gboolean write_frame(const Assembly *assembly, const IngotChunk *chunk, const void *frame, GError **error)
{
    return ingot_file_pwrite(assembly->fd, frame, chunk->stored_length, chunk->stored_offset, assembly->name, error);
}

/* Copies the collected neighbours. A seed that cannot be read leaves wrong bytes: the blob's digest will tell. */
static gboolean flush_copy(const Assembly *assembly, Worker *worker, GError **error)
{
    GByteArray *copy = worker->copy;
    gsize size = copy->len;
    g_byte_array_set_size(copy, 0);
    return size == 0 || !ingot_file_pread(worker->copy_fd, copy->data, size, worker->copy_from, "", NULL) ||
           ingot_file_pwrite(assembly->fd, copy->data, size, worker->copy_to, assembly->name, error);
}

static gboolean copy_seed(const Assembly *assembly, Worker *worker, const Seed *seed, const IngotChunk *chunk,
                          GError **error)
{
    gsize size = worker->copy->len;
    gboolean follows = size > 0 && size < COPY_MAX && seed->fd == worker->copy_fd &&
                       seed->offset == worker->copy_from + size && chunk->stored_offset == worker->copy_to + size;
    if (!follows) {
        if (!flush_copy(assembly, worker, error)) {
            return FALSE;
        }
        worker->copy_fd = seed->fd;
        worker->copy_from = seed->offset;
        worker->copy_to = chunk->stored_offset;
    }
    g_byte_array_set_size(worker->copy, worker->copy->len + seed->length);
    return TRUE;
}

/* Puts a chunk in its place if it can be had here. What comes from seeds is not looked at: the digest of the whole blob
 * speaks for all of it, and where it does not fit, all is checked one by one (see assemble_disk). */
static gboolean place_chunk(Assembly *assembly, Worker *worker, guint i, GError **error)
{
    const IngotChunk *chunk = ingot_index_chunk(assembly->index, i);
    if (assembly->resumed && check_frame(assembly, worker, chunk)) {
        assembly->have[i] = 1;
        return TRUE;
    }
    if (chunk->hole) {
        GBytes *frame = assembly->own_encoder ? ingot_encoder_hole(worker->encoder, chunk->length) : NULL;
        assembly->have[i] = frame != NULL && g_bytes_get_size(frame) == chunk->stored_length;
        return !assembly->have[i] || write_frame(assembly, chunk, g_bytes_get_data(frame, NULL), error);
    }
    const Seed *seed = g_hash_table_lookup(assembly->seeds, &chunk->digest);
    assembly->have[i] = seed != NULL && seed->length == chunk->stored_length;
    return !assembly->have[i] || copy_seed(assembly, worker, seed, chunk, error);
}

static gboolean place_run(Assembly *assembly, Worker *worker, guint from, GError **error)
{
    for (guint i = from; i < MIN(from + RUN, assembly->index->chunks->len); i++) {
        if (!place_chunk(assembly, worker, i, error)) {
            return FALSE;
        }
        if (assembly->have[i]) {
            ingot_progress_add(assembly->progress, ingot_index_chunk(assembly->index, i)->stored_length);
        }
    }
    return flush_copy(assembly, worker, error) && ingot_interrupt_check(error);
}

static gpointer place_thread(gpointer user)
{
    Assembly *assembly = user;
    Worker worker = {.decoder = ingot_decoder_new(),
                     .encoder = ingot_encoder_new(),
                     .data = g_malloc(INGOT_HOLE_MAX),
                     .frame = g_malloc(ingot_encoder_bound(INGOT_HOLE_MAX)),
                     .copy = g_byte_array_new()};
    guint from;
    while ((from = (guint)g_atomic_int_add(&assembly->next, RUN)) < assembly->index->chunks->len) {
        GError *failure = NULL;
        if (!place_run(assembly, &worker, from, &failure)) {
            g_atomic_int_set(&assembly->next, assembly->index->chunks->len);
            g_mutex_lock(&assembly->lock);
            if (assembly->failure == NULL) {
                assembly->failure = g_steal_pointer(&failure);
            }
            g_mutex_unlock(&assembly->lock);
            g_clear_error(&failure);
        }
    }
    ingot_decoder_free(worker.decoder);
    ingot_encoder_free(worker.encoder);
    g_byte_array_unref(worker.copy);
    g_free(worker.data);
    g_free(worker.frame);
    return NULL;
}

static gboolean place_all(Assembly *assembly, GError **error)
{
    crew_run("place", MIN(g_get_num_processors(), THREADS_MAX), place_thread, assembly);
    if (assembly->failure != NULL) {
        g_propagate_error(error, g_steal_pointer(&assembly->failure));
        return FALSE;
    }
    return TRUE;
}

/* --- what must be fetched --- */

static GArray *missing_ranges(const Assembly *assembly)
{
    GArray *ranges = g_array_new(FALSE, FALSE, sizeof(IngotRange));
    for (guint i = 0; i < assembly->index->chunks->len; i++) {
        const IngotChunk *chunk = ingot_index_chunk(assembly->index, i);
        if (assembly->have[i]) {
            continue;
        }
        IngotRange *last = ranges->len == 0 ? NULL : &g_array_index(ranges, IngotRange, ranges->len - 1);
        if (last != NULL && chunk->stored_offset - (last->offset + last->length) <= GAP_MAX) {
            last->length = chunk->stored_offset + chunk->stored_length - last->offset;
        } else {
            IngotRange range = {.offset = chunk->stored_offset, .length = chunk->stored_length};
            g_array_append_val(ranges, range);
        }
    }
    return ranges;
}

/* The number of the first chunk whose frame begins at or after a byte of the blob. */
static guint first_frame(const IngotIndex *index, guint64 offset)
{
    guint low = 0, high = index->chunks->len;
    while (low < high) {
        guint middle = low + (high - low) / 2;
        if (ingot_index_chunk(index, middle)->stored_offset < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* A range is cut into requests wherever it falls, so a frame may come in two parts: both are written, and the frame is
 * checked once its end is there. */
static gboolean got_range(guint64 offset, const void *bytes, gsize size, gpointer user, GError **error)
{
    Assembly *assembly = user;
    ingot_progress_add(assembly->progress, size);
    return ingot_file_pwrite(assembly->fd, bytes, size, offset, assembly->name, error);
}

static gboolean check_fetched(Assembly *assembly, const GArray *ranges, GError **error)
{
    g_autofree guint8 *frame = g_malloc(ingot_encoder_bound(INGOT_HOLE_MAX));
    for (guint r = 0; r < ranges->len; r++) {
        const IngotRange *range = &g_array_index(ranges, IngotRange, r);
        for (guint i = first_frame(assembly->index, range->offset); i < assembly->index->chunks->len; i++) {
            const IngotChunk *chunk = ingot_index_chunk(assembly->index, i);
            if (chunk->stored_offset >= range->offset + range->length) {
                break;
            }
            if (!ingot_file_pread(assembly->fd, frame, chunk->stored_length, chunk->stored_offset, assembly->name,
                                  error) ||
                !ingot_decoder_chunk(assembly->decoder, chunk, frame, assembly->data, assembly->name, error)) {
                return FALSE;
            }
        }
    }
    return TRUE;
}

static gboolean finish(Assembly *assembly, const IngotDescriptor *disk, GError **error)
{
    g_autoptr(GBytes) table = ingot_seek_table(assembly->index);
    guint64 size = assembly->index->blob_size + g_bytes_get_size(table);
    if (size != disk->size) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: index and disk do not belong together",
                    assembly->name);
        return FALSE;
    }
    if (!ingot_file_pwrite(assembly->fd, g_bytes_get_data(table, NULL), g_bytes_get_size(table),
                           assembly->index->blob_size, assembly->name, error)) {
        return FALSE;
    }
    if (ftruncate(assembly->fd, (off_t)size) != 0) {
        return ingot_error_set_errno(error, errno, "%s", assembly->name);
    }
    /* The disk starts to write while the digest is worked out: the store fsyncs what it adopts. */
    sync_file_range(assembly->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", assembly->fd);
    IngotDigest digest;
    if (!ingot_digest_of_file(path, &digest, NULL, error)) {
        return FALSE;
    }
    if (!ingot_digest_equal(&digest, &disk->digest)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "%s: the assembled disk does not have the digest that the "
                    "manifest names",
                    assembly->name);
        return FALSE;
    }
    return TRUE;
}

/* *wrong: what was assembled is not the disk, and can't become it by what else may be fetched. */
static gboolean place_and_fetch(Assembly *assembly, IngotRemote *remote, const char *name, const IngotDescriptor *disk,
                                guint64 *received, gboolean *wrong, GError **error)
{
    *wrong = FALSE;
    assembly->next = 0;
    if (!place_all(assembly, error)) {
        return FALSE;
    }
    g_autoptr(GArray) ranges = missing_ranges(assembly);
    if (!ingot_remote_get_ranges(remote, name, &disk->digest, disk->size, (IngotRange *)ranges->data, ranges->len,
                                 got_range, assembly, received, error)) {
        return FALSE;
    }
    GError *problem = NULL;
    if (check_fetched(assembly, ranges, &problem) && finish(assembly, disk, &problem)) {
        return TRUE;
    }
    *wrong = g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT);
    g_propagate_error(error, problem);
    return FALSE;
}

/* A seed may have been damaged on this disk. Then the blob has a wrong digest: each of its frames is checked, and those
 * that are not what they should be are fetched. */
static gboolean assemble(Assembly *assembly, IngotRemote *remote, const char *name, const IngotDescriptor *disk,
                         guint64 *received, gboolean *wrong, GError **error)
{
    g_autoptr(GError) problem = NULL;
    if (place_and_fetch(assembly, remote, name, disk, received, wrong, &problem)) {
        return TRUE;
    }
    if (!*wrong || g_hash_table_size(assembly->seeds) == 0) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    g_hash_table_remove_all(assembly->seeds);
    assembly->resumed = TRUE;
    return place_and_fetch(assembly, remote, name, disk, received, wrong, error);
}

static void close_all(GArray *fds)
{
    for (guint i = 0; i < fds->len; i++) {
        close(g_array_index(fds, int, i));
    }
    g_array_unref(fds);
}

gboolean assemble_disk(IngotStore *store, IngotRemote *remote, const char *name, IngotIndex *index,
                       const IngotDescriptor *disk, IngotProgress *progress, guint64 *received, GError **error)
{
    gboolean fresh, wrong = FALSE;
    IngotStoreFile *file = ingot_store_resume(store, &disk->digest, &fresh, error);
    if (file == NULL) {
        if (error != NULL && g_error_matches(*error, INGOT_ERROR, INGOT_ERROR_EXISTS)) {
            g_clear_error(error); /* another process has fetched it while we waited */
            return TRUE;
        }
        return FALSE;
    }
    GArray *fds = g_array_new(FALSE, FALSE, sizeof(int));
    g_autoptr(GHashTable) seeds = g_hash_table_new_full(ingot_digest_hash, ingot_digest_equal, g_free, g_free);
    Assembly assembly = {.index = index,
                         .fd = file->fd,
                         .name = file->path,
                         .resumed = !fresh,
                         .seeds = seeds,
                         .own_encoder = strcmp(index->encoder, ingot_encoder_name()) == 0,
                         .have = g_malloc0(MAX(index->chunks->len, 1)),
                         .progress = progress,
                         .decoder = ingot_decoder_new(),
                         .data = g_malloc(INGOT_HOLE_MAX)};
    g_mutex_init(&assembly.lock);
    gboolean ok =
        find_seeds(store, index, seeds, fds, error) && assemble(&assembly, remote, name, disk, received, &wrong, error);
    g_mutex_clear(&assembly.lock);
    ingot_decoder_free(assembly.decoder);
    g_free(assembly.data);
    g_free(assembly.have);
    close_all(fds);
    if (ok) {
        return ingot_store_adopt(store, file, &disk->digest, error);
    }
    /* Wrong bytes would be fetched along again; what was cut off is what the next pull goes on from. */
    if (wrong) {
        ingot_store_discard(file);
    } else {
        ingot_store_suspend(file);
    }
    return FALSE;
}
