#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "image/chunker.h"
#include "image/disk.h"

/* What one reader needs at a time: it takes long to make, for a small range. */
typedef struct {
    IngotDecoder *decoder;
    GByteArray *frame;
    guint8 *chunk; /* the one that was read last */
    guint number;  /* its number; G_MAXUINT: none */
} Cursor;

static void cursor_free(gpointer data)
{
    Cursor *cursor = data;
    ingot_decoder_free(cursor->decoder);
    g_byte_array_unref(cursor->frame);
    g_free(cursor->chunk);
    g_free(cursor);
}

static Cursor *cursor_new(void)
{
    Cursor *cursor = g_new0(Cursor, 1);
    cursor->decoder = ingot_decoder_new();
    cursor->frame = g_byte_array_new();
    cursor->number = G_MAXUINT;
    return cursor;
}

static gboolean has_chunk(gconstpointer cursor, gconstpointer number)
{
    return ((const Cursor *)cursor)->number == *(const guint *)number;
}

/* The one that has the chunk already, if there is one: who reads on in small steps comes back to it. */
static Cursor *take_cursor(IngotDisk *disk, guint number)
{
    Cursor *cursor = idle_take(&disk->cursors, has_chunk, &number);
    if (cursor == NULL) {
        cursor = idle_take(&disk->cursors, NULL, NULL);
    }
    return cursor == NULL ? cursor_new() : cursor;
}

IngotDisk *ingot_disk_new(IngotDiskBlob read, gpointer blob, GDestroyNotify free_blob, const char *name,
                          IngotIndex *index)
{
    IngotDisk *disk = g_new0(IngotDisk, 1);
    disk->name = g_strdup(name);
    disk->read = read;
    disk->blob = blob;
    disk->free_blob = free_blob;
    disk->index = ingot_index_ref(index);
    disk->cursors = (Idle)IDLE_INIT(cursor_free);
    return disk;
}

void ingot_disk_free(IngotDisk *disk)
{
    if (disk != NULL) {
        idle_clear(&disk->cursors);
        if (disk->free_blob != NULL) {
            disk->free_blob(disk->blob);
        }
        disk_sums_free(disk->sums);
        joined_free(disk);
        ingot_index_unref(disk->index);
        g_free(disk->name);
        g_free(disk);
    }
}

void ingot_disk_set_cache(IngotDisk *disk, const IngotDiskCache *cache)
{
    g_return_if_fail(disk->members == NULL);
    disk->cache = cache;
}

void ingot_disk_set_gate(IngotDisk *disk, IngotDiskGate gate, gpointer user)
{
    disk->gate = gate;
    disk->gate_user = user;
}

const IngotIndex *ingot_disk_index(const IngotDisk *disk)
{
    g_return_val_if_fail(disk->members == NULL, NULL);
    return disk->index;
}

/* --- a blob that is a file --- */

typedef struct {
    int fd;
    char *path;
} File;

static void file_free(gpointer data)
{
    File *file = data;
    if (file->fd >= 0) {
        close(file->fd);
    }
    g_free(file->path);
    g_free(file);
}

static gboolean read_file(gpointer blob, guint64 offset, void *buffer, gsize size, GError **error)
{
    const File *file = blob;
    return ingot_file_pread(file->fd, buffer, size, offset, file->path, error);
}

static gboolean check_size(const File *file, guint64 expected, GError **error)
{
    struct stat st;
    if (fstat(file->fd, &st) != 0) {
        return ingot_error_set_errno(error, errno, "%s", file->path);
    }
    if ((guint64)st.st_size != expected) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "%s: ends at offset %" G_GINT64_FORMAT ", but by its index at %" G_GUINT64_FORMAT, file->path,
                    (gint64)st.st_size, expected);
        return FALSE;
    }
    return TRUE;
}

/* What follows the frames is their seek table, which the index knows byte by byte. */
static gboolean check_end(File *file, const IngotIndex *index, GError **error)
{
    g_autoptr(GBytes) table = ingot_seek_table(index);
    gsize size, same = 0;
    const guint8 *expected = g_bytes_get_data(table, &size);
    g_autofree guint8 *found = g_malloc(size);
    if (!check_size(file, index->blob_size + size, error) || !read_file(file, index->blob_size, found, size, error)) {
        return FALSE;
    }
    while (same < size && found[same] == expected[same]) {
        same++;
    }
    if (same < size) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: damaged seek table at offset %" G_GUINT64_FORMAT,
                    file->path, index->blob_size + same);
        return FALSE;
    }
    return TRUE;
}

IngotDisk *ingot_disk_open(const char *path, IngotIndex *index, GError **error)
{
    File *file = g_new0(File, 1);
    file->path = g_strdup(path);
    file->fd = ingot_file_open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0, error);
    if (file->fd < 0 || !check_end(file, index, error)) {
        file_free(file);
        return NULL;
    }
    return ingot_disk_new(read_file, file, file_free, path, index);
}

/* --- reading --- */

/* Reads, decodes and checks a chunk; out NULL: a hole, which is only checked. */
static gboolean load(IngotDisk *disk, Cursor *cursor, const IngotChunk *chunk, void *out, GError **error)
{
    g_byte_array_set_size(cursor->frame, chunk->stored_length);
    return disk->read(disk->blob, chunk->stored_offset, cursor->frame->data, chunk->stored_length, error) &&
           disk_decode(disk, cursor->decoder, chunk, cursor->frame->data, out, error);
}

/* Into the cursor, where it is not yet. A hole, which may be large, is not kept. */
static gboolean load_number(IngotDisk *disk, Cursor *cursor, guint number, GError **error)
{
    const IngotChunk *chunk = ingot_index_chunk(disk->index, number);
    if (cursor->number == number) {
        return TRUE;
    }
    if (chunk->hole) {
        return load(disk, cursor, chunk, NULL, error);
    }
    cursor->number = G_MAXUINT;
    cursor->chunk = g_realloc(cursor->chunk, chunk->length);
    if (!load(disk, cursor, chunk, cursor->chunk, error)) {
        return FALSE;
    }
    cursor->number = number;
    if (disk->cache != NULL) {
        disk->cache->keep(disk->cache->user, number, cursor->chunk);
    }
    return TRUE;
}

static gboolean read_range(IngotDisk *disk, Cursor *cursor, guint number, guint64 offset, guint8 *out, gsize size,
                           GError **error)
{
    for (; size > 0; number++) {
        const IngotChunk *chunk = ingot_index_chunk(disk->index, number);
        gsize within = offset - chunk->offset, part = MIN(chunk->length - within, size);
        if (!load_number(disk, cursor, number, error)) {
            return FALSE;
        }
        if (chunk->hole) {
            memset(out, 0, part);
        } else {
            g_assert(cursor->chunk != NULL);
            memcpy(out, cursor->chunk + within, part);
        }
        out += part;
        offset += part;
        size -= part;
    }
    return TRUE;
}

static gboolean read_disk(IngotDisk *disk, guint64 offset, void *buffer, gsize size, GError **error)
{
    if (size == 0 || (disk->cache != NULL && disk->cache->find(disk->cache->user, offset, buffer, size))) {
        return TRUE;
    }
    guint number = ingot_index_find(disk->index, offset);
    Cursor *cursor = take_cursor(disk, number);
    gboolean ok = read_range(disk, cursor, number, offset, buffer, size, error);
    idle_give(&disk->cursors, cursor);
    return ok;
}

static guint64 end_of(const IngotDisk *disk)
{
    guint last = ingot_disk_count(disk) - 1;
    return ingot_disk_base(disk, last) + ingot_disk_member((IngotDisk *)disk, last)->index->disk_size;
}

gboolean ingot_disk_read(IngotDisk *disk, guint64 offset, void *buffer, gsize size, GError **error)
{
    guint64 end = end_of(disk);
    if (offset > end || size > end - offset) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: offset %" G_GUINT64_FORMAT " is past the disk's end",
                    disk->name, offset);
        return FALSE;
    }
    if (disk->gate != NULL && !disk->gate(disk->gate_user, error)) {
        return FALSE;
    }
    return disk->members == NULL ? read_disk(disk, offset, buffer, size, error)
                                 : joined_read(disk, offset, buffer, size, error);
}

/* Where a disk is streamed to. */
typedef struct {
    int fd;
    gboolean seeks;    /* a file or a device: no reader that could stand still */
    gboolean by_parts; /* the kernel takes no RWF_NOWAIT for it: an older one of a pipe */
    gboolean full;     /* it is waited for before the next write */
} Outlet;

static Outlet outlet_new(int fd)
{
    struct stat st;
    gboolean seeks = fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
    return (Outlet){.fd = fd, .seeks = seeks};
}

/* Never waits for a reader. Whoever shares the descriptor may count on its flags, which stay as they are. */
static gssize outlet_try(Outlet *outlet, const guint8 *data, gsize size)
{
    const struct iovec all = {.iov_base = (gpointer)data, .iov_len = size};
    if (outlet->seeks) {
        return write(outlet->fd, data, size);
    }
    if (outlet->by_parts) {
        return write(outlet->fd, data, MIN(size, PIPE_BUF)); /* for which poll has found room */
    }
    gssize count = pwritev2(outlet->fd, &all, 1, -1, RWF_NOWAIT);
    if (count < 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) {
        outlet->by_parts = TRUE;
        errno = EAGAIN;
    }
    return count;
}

/* A write that waited would not end with the thread's GCancellable; ingot_file_wait does. */
static gboolean outlet_write(Outlet *outlet, const guint8 *data, gsize size, GError **error)
{
    while (size > 0) {
        if (outlet->full && !ingot_file_wait(outlet->fd, TRUE, "the output", error)) {
            return FALSE;
        }
        gssize count = outlet_try(outlet, data, size);
        if (count < 0 && errno != EINTR && errno != EAGAIN) {
            return ingot_error_set_errno(error, errno, "cannot write to the output");
        }
        if (count < 0 && !ingot_interrupt_check(error)) {
            return FALSE;
        }
        outlet->full = outlet->by_parts || count < (gssize)size;
        data += MAX(count, 0);
        size -= (gsize)MAX(count, 0);
    }
    return TRUE;
}

static gboolean stream(IngotDisk *disk, Cursor *cursor, int fd, IngotProgress *progress, GError **error)
{
    Outlet outlet = outlet_new(fd);
    g_autofree guint8 *data = g_malloc(MAX(INGOT_HOLE_MAX, chunker_max(disk->index->average)));
    for (guint i = 0; i < disk->index->chunks->len; i++) {
        const IngotChunk *chunk = ingot_index_chunk(disk->index, i);
        if (!ingot_interrupt_check(error) || !load(disk, cursor, chunk, data, error) ||
            !outlet_write(&outlet, data, chunk->length, error)) {
            return FALSE;
        }
        ingot_progress_add(progress, chunk->length);
    }
    return TRUE;
}

gboolean ingot_disk_stream(IngotDisk *disk, int fd, IngotProgress *progress, GError **error)
{
    g_return_val_if_fail(disk->members == NULL, FALSE);
    Cursor *cursor = cursor_new();
    gboolean ok = stream(disk, cursor, fd, progress, error);
    cursor_free(cursor);
    return ok;
}
