#include <errno.h>
#include <fcntl.h>
#include <ingot/blocks.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/devices.h"
#include "base/file.h"
#include "image/magic.h"
#include "image/nbd.h"
#include "image/openblocks.h"
#include "image/ties.h"

struct IngotBlocks {
    char *path;
    guint64 size;
    guint64 start;    /* of the disk within the file: raw */
    int fd;           /* raw */
    IngotNbd *nbd;    /* everything else */
    Unchanged *files; /* that all of it is read from */
};

void ingot_blocks_free(IngotBlocks *blocks)
{
    if (blocks == NULL) {
        return;
    }
    if (blocks->fd >= 0) {
        close(blocks->fd);
    }
    ingot_nbd_free(blocks->nbd);
    unchanged_unref(blocks->files);
    g_free(blocks->path);
    g_free(blocks);
}

/* Where the part ends within its file, or -1. */
static off_t end_of(const IngotPart *part, int fd)
{
    off_t end = lseek(fd, 0, SEEK_END);
    return end < 0 || part->length == 0 ? end : MIN(end, (off_t)(part->offset + part->length));
}

const char *ingot_blocks_probe_part(const IngotPart *part, GError **error)
{
    return magic_probe(part, part->path, error);
}

const char *ingot_blocks_probe(const char *path, GError **error)
{
    return ingot_blocks_probe_part(&(IngotPart){.path = path}, error);
}

/* Of a device that is written by its mount, as of a file in use, no state is read that it ever had. */
static gboolean check_mounts(const char *path, const char *name, GError **error)
{
    g_autofree char *point = NULL;
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISBLK(info.st_mode)) {
        return TRUE;
    }
    if (!device_find_mount(name, info.st_rdev, TRUE, &point, error)) {
        return FALSE;
    }
    if (point != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: it, or a partition of it, is mounted at %s, and may change while it is read: unmount it, or "
                    "mount it for reading alone",
                    name, point);
    }
    return point == NULL;
}

gboolean blocks_find_files(Unchanged *files, const IngotPart *part, const char *name, const char *format,
                           GError **error)
{
    if (!unchanged_add(files, part->path, error) || !check_mounts(part->path, name, error)) {
        return FALSE;
    }
    /* Within an archive a disk has no extents; one that may not have those that it names is not refused here. */
    gboolean may_have = part->length == 0 && strcmp(format, "vmdk") == 0;
    g_auto(GStrv) extents = may_have ? ingot_ties_extents(part, name, format, NULL) : NULL;
    g_autofree char *folder = g_path_get_dirname(part->path);
    for (guint i = 0; extents != NULL && extents[i] != NULL; i++) {
        g_autofree char *path = g_build_filename(folder, extents[i], NULL);
        if (!unchanged_add(files, path, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean open_raw(IngotBlocks *blocks, const IngotPart *part, GError **error)
{
    blocks->fd = ingot_file_open(part->path, O_RDONLY, 0, error);
    if (blocks->fd < 0) {
        return FALSE;
    }
    struct stat info;
    off_t end = end_of(part, blocks->fd);
    if (end < 0 || fstat(blocks->fd, &info) != 0) {
        return ingot_error_set_errno(error, errno, "%s", blocks->path);
    }
    if (!S_ISREG(info.st_mode) && !S_ISBLK(info.st_mode)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: a disk is a file or a block device", blocks->path);
        return FALSE;
    }
    blocks->start = part->offset;
    blocks->size = (guint64)end - MIN((guint64)end, part->offset);
    return TRUE;
}

static gboolean open_nbd(IngotBlocks *blocks, const IngotPart *part, const char *format, GError **error)
{
    blocks->nbd = ingot_nbd_open_part(part, blocks->path, format, error);
    if (blocks->nbd == NULL) {
        return FALSE;
    }
    blocks->size = ingot_nbd_size(blocks->nbd);
    return TRUE;
}

IngotBlocks *blocks_open_since(Unchanged *files, const IngotPart *part, const char *name, const char *format,
                               GError **error)
{
    if (format == NULL) {
        format = magic_probe(part, name, error);
    }
    if (format == NULL) {
        return NULL;
    }
    g_autoptr(IngotBlocks) blocks = g_new0(IngotBlocks, 1);
    blocks->fd = -1;
    blocks->path = g_strdup(name);
    blocks->files = unchanged_ref(files);
    /* Looked at before it is opened: what changes from here on is found. */
    if (!blocks_find_files(files, part, name, format, error)) {
        return NULL;
    }
    if (!(strcmp(format, "raw") == 0 ? open_raw(blocks, part, error) : open_nbd(blocks, part, format, error))) {
        return NULL;
    }
    return g_steal_pointer(&blocks);
}

IngotBlocks *ingot_blocks_open_part(const IngotPart *part, const char *name, const char *format, GError **error)
{
    g_autoptr(Unchanged) files = unchanged_new();
    return blocks_open_since(files, part, name, format, error);
}

IngotBlocks *ingot_blocks_open(const char *path, const char *format, GError **error)
{
    return ingot_blocks_open_part(&(IngotPart){.path = path}, path, format, error);
}

const char *ingot_blocks_path(const IngotBlocks *blocks)
{
    return blocks->path;
}

guint64 ingot_blocks_size(const IngotBlocks *blocks)
{
    return blocks->size;
}

static gboolean raw_extent(const IngotBlocks *blocks, guint64 offset, guint64 *length, gboolean *zero, GError **error)
{
    const guint64 from = blocks->start + offset, last = blocks->start + blocks->size;
    off_t data = lseek(blocks->fd, (off_t)from, SEEK_DATA);
    if (data < 0 && errno == EINVAL) { /* a block device does not tell */
        *zero = FALSE;
        *length = blocks->size - offset;
        return TRUE;
    }
    if (data < 0 && errno != ENXIO) {
        return ingot_error_set_errno(error, errno, "%s", blocks->path);
    }
    *zero = data < 0 || (guint64)data > from;
    off_t end = data < 0 ? (off_t)last : *zero ? data : lseek(blocks->fd, (off_t)from, SEEK_HOLE);
    if (end < 0) {
        return ingot_error_set_errno(error, errno, "%s", blocks->path);
    }
    *length = MIN((guint64)end, last) - from;
    return TRUE;
}

gboolean ingot_blocks_extent(IngotBlocks *blocks, guint64 offset, guint64 *length, gboolean *zero, GError **error)
{
    return blocks->nbd != NULL ? ingot_nbd_extent(blocks->nbd, offset, length, zero, error)
                               : raw_extent(blocks, offset, length, zero, error);
}

gboolean ingot_blocks_read(IngotBlocks *blocks, guint64 offset, void *buffer, gsize size, GError **error)
{
    if (blocks->nbd == NULL) {
        return ingot_file_pread(blocks->fd, buffer, size, blocks->start + offset, blocks->path, error);
    }
    return ingot_nbd_read(blocks->nbd, offset, buffer, size, error);
}

gboolean ingot_blocks_check_unchanged(const IngotBlocks *blocks, GError **error)
{
    return unchanged_check(blocks->files, blocks->path, error);
}
