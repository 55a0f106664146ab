#include "server/views/unpacked.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/nameless.h"

#define WORD_BITS 32u

struct Unpacked {
    char *folder;
    guint64 limit;
    GMutex lock;
    guint64 size; /* bytes, of all disks */
    GList *disks; /* of UnpackedDisk */
};

struct UnpackedDisk {
    Unpacked *unpacked;
    IngotIndex *index;
    IngotDiskCache cache;
    guint64 size;  /* bytes that count for the limit; guarded by unpacked->lock */
    gint64 used;   /* when it was used last; likewise */
    guint turn;    /* changes when it is emptied: likewise, and by place */
    GRWLock place; /* guards what follows: who reads or adds has it as a reader */
    int fd;        /* -1: none yet */
    guint *kept;   /* atomic: a bit for each chunk */
};

Unpacked *unpacked_new(const char *folder, guint64 limit)
{
    Unpacked *unpacked = g_new0(Unpacked, 1);
    unpacked->folder = g_strdup(folder);
    unpacked->limit = limit;
    g_mutex_init(&unpacked->lock);
    return unpacked;
}

void unpacked_free(Unpacked *unpacked)
{
    if (unpacked != NULL) {
        g_assert(unpacked->disks == NULL);
        g_mutex_clear(&unpacked->lock);
        g_free(unpacked->folder);
        g_free(unpacked);
    }
}

guint64 unpacked_size(Unpacked *unpacked)
{
    g_mutex_lock(&unpacked->lock);
    guint64 size = unpacked->size;
    g_mutex_unlock(&unpacked->lock);
    return size;
}

static gboolean has_chunk(UnpackedDisk *disk, guint number)
{
    return (g_atomic_int_get(&disk->kept[number / WORD_BITS]) & 1u << number % WORD_BITS) != 0;
}

/* Holes are holes in the file. */
static gboolean has_range(UnpackedDisk *disk, guint64 offset, guint64 size)
{
    guint number = ingot_index_find(disk->index, offset);
    for (; number < disk->index->chunks->len; number++) {
        const IngotChunk *chunk = ingot_index_chunk(disk->index, number);
        if (chunk->offset >= offset + size) {
            break;
        }
        if (!chunk->hole && !has_chunk(disk, number)) {
            return FALSE;
        }
    }
    return disk->fd >= 0;
}

static gboolean find(gpointer user, guint64 offset, void *buffer, gsize size)
{
    UnpackedDisk *disk = user;
    g_rw_lock_reader_lock(&disk->place);
    gboolean found =
        has_range(disk, offset, size) && ingot_file_pread(disk->fd, buffer, size, offset, "unpacked", NULL);
    g_rw_lock_reader_unlock(&disk->place);
    return found;
}

/* --- making room --- */

/* Its file goes; who still sends it has a descriptor of his own. Returns what became free. The lock is held. */
static guint64 empty(UnpackedDisk *disk)
{
    g_rw_lock_writer_lock(&disk->place);
    disk->turn++;
    if (disk->fd >= 0) {
        close(disk->fd);
        disk->fd = -1;
    }
    for (guint i = 0; i <= disk->index->chunks->len / WORD_BITS; i++) {
        g_atomic_int_set(&disk->kept[i], 0);
    }
    g_rw_lock_writer_unlock(&disk->place);
    guint64 size = disk->size;
    disk->size = 0;
    return size;
}

/* The one that was used longest ago and has something, but for `except`; the lock is held. */
static UnpackedDisk *oldest(const Unpacked *unpacked, const UnpackedDisk *except)
{
    UnpackedDisk *found = NULL;
    for (GList *link = unpacked->disks; link != NULL; link = link->next) {
        UnpackedDisk *disk = link->data;
        if (disk != except && disk->size > 0 && (found == NULL || disk->used < found->used)) {
            found = disk;
        }
    }
    return found;
}

/* Takes so many bytes of the limit for a disk, until it is emptied. */
static gboolean reserve(UnpackedDisk *disk, guint64 size, guint *turn)
{
    Unpacked *unpacked = disk->unpacked;
    UnpackedDisk *victim;
    g_mutex_lock(&unpacked->lock);
    disk->used = g_get_monotonic_time();
    while (unpacked->size + size > unpacked->limit && (victim = oldest(unpacked, disk)) != NULL) {
        unpacked->size -= empty(victim);
    }
    gboolean fits = unpacked->size + size <= unpacked->limit;
    if (fits) {
        unpacked->size += size;
        disk->size += size;
        *turn = disk->turn;
    }
    g_mutex_unlock(&unpacked->lock);
    return fits;
}

static void give_back(UnpackedDisk *disk, guint64 size, guint turn)
{
    g_mutex_lock(&disk->unpacked->lock);
    if (disk->turn == turn) {
        disk->size -= size;
        disk->unpacked->size -= size;
    }
    g_mutex_unlock(&disk->unpacked->lock);
}

/* --- adding --- */

/* A file without a name, as long as the disk. */
static int make_file(const UnpackedDisk *disk)
{
    int fd = ingot_nameless_open(disk->unpacked->folder, NULL);
    if (fd >= 0 && ftruncate(fd, (off_t)disk->index->disk_size) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static void begin(UnpackedDisk *disk)
{
    g_rw_lock_writer_lock(&disk->place);
    if (disk->fd < 0) {
        disk->fd = make_file(disk);
    }
    g_rw_lock_writer_unlock(&disk->place);
}

static gboolean is_begun(UnpackedDisk *disk)
{
    g_rw_lock_reader_lock(&disk->place);
    gboolean begun = disk->fd >= 0;
    g_rw_lock_reader_unlock(&disk->place);
    return begun;
}

/* FALSE: it is not there because of this (a full disk, another thread that was faster). */
static gboolean add(UnpackedDisk *disk, guint number, const void *data, guint turn)
{
    const IngotChunk *chunk = ingot_index_chunk(disk->index, number);
    guint bit = 1u << number % WORD_BITS;
    g_rw_lock_reader_lock(&disk->place);
    gboolean added = disk->fd >= 0 && disk->turn == turn &&
                     ingot_file_pwrite(disk->fd, data, chunk->length, chunk->offset, "unpacked", NULL) &&
                     (g_atomic_int_or(&disk->kept[number / WORD_BITS], bit) & bit) == 0;
    g_rw_lock_reader_unlock(&disk->place);
    return added;
}

static void keep(gpointer user, guint number, const void *data)
{
    UnpackedDisk *disk = user;
    guint32 size = ingot_index_chunk(disk->index, number)->length;
    guint turn;
    if (has_chunk(disk, number) || !reserve(disk, size, &turn)) {
        return;
    }
    if (!is_begun(disk)) {
        begin(disk);
    }
    if (!add(disk, number, data, turn)) {
        give_back(disk, size, turn);
    }
}

/* --- disks --- */

UnpackedDisk *unpacked_disk_new(Unpacked *unpacked, IngotIndex *index)
{
    UnpackedDisk *disk = g_new0(UnpackedDisk, 1);
    disk->unpacked = unpacked;
    disk->index = ingot_index_ref(index);
    disk->cache = (IngotDiskCache){.find = find, .keep = keep, .user = disk};
    disk->fd = -1;
    disk->kept = g_new0(guint, index->chunks->len / WORD_BITS + 1);
    g_rw_lock_init(&disk->place);
    g_mutex_lock(&unpacked->lock);
    unpacked->disks = g_list_prepend(unpacked->disks, disk);
    g_mutex_unlock(&unpacked->lock);
    return disk;
}

void unpacked_disk_free(UnpackedDisk *disk)
{
    if (disk == NULL) {
        return;
    }
    Unpacked *unpacked = disk->unpacked;
    g_mutex_lock(&unpacked->lock);
    unpacked->disks = g_list_remove(unpacked->disks, disk);
    unpacked->size -= empty(disk);
    g_mutex_unlock(&unpacked->lock);
    g_rw_lock_clear(&disk->place);
    ingot_index_unref(disk->index);
    g_free(disk->kept);
    g_free(disk);
}

const IngotDiskCache *unpacked_disk_cache(UnpackedDisk *disk)
{
    return &disk->cache;
}

gboolean unpacked_disk_run(UnpackedDisk *disk, guint64 offset, guint64 size, int *fd)
{
    g_rw_lock_reader_lock(&disk->place);
    gboolean found = has_range(disk, offset, size) && (*fd = fcntl(disk->fd, F_DUPFD_CLOEXEC, 0)) >= 0;
    g_rw_lock_reader_unlock(&disk->place);
    return found;
}
