#include "source/extents.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"

#define BLOCK 65536u

static gboolean extents_all_zero(const guint8 *data, gsize size)
{
    return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

gboolean extents_visit(const char *path, ExtentsFunc visit, gpointer user, guint64 *size, GError **error)
{
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDONLY, 0, error);
    struct stat info;
    if (fd < 0) {
        return FALSE;
    }
    if (fstat(fd, &info) != 0) {
        return ingot_error_set_errno(error, errno, "%s", path);
    }
    guint8 buffer[BLOCK];
    *size = (guint64)info.st_size;
    for (guint64 offset = 0; offset < *size; offset += BLOCK) {
        off_t data = lseek(fd, (off_t)offset, SEEK_DATA);
        if (data < 0 && errno == ENXIO) {
            break; /* nothing but a hole up to the end */
        }
        if (data < 0) {
            return ingot_error_set_errno(error, errno, "%s", path);
        }
        offset = (guint64)data / BLOCK * BLOCK;
        gsize length = (gsize)MIN(BLOCK, *size - offset);
        if (!ingot_interrupt_check(error) || !ingot_file_pread(fd, buffer, length, offset, path, error)) {
            return FALSE;
        }
        if (!extents_all_zero(buffer, length)) {
            visit(offset, buffer, length, user);
        }
    }
    return TRUE;
}

static void extents_hash(guint64 offset, const void *data, gsize size, gpointer user)
{
    guint64 number = GUINT64_TO_LE(offset);
    ingot_hasher_add(user, &number, sizeof number);
    ingot_hasher_add(user, data, size);
}

gboolean extents_digest(const char *path, IngotDigest *out, GError **error)
{
    g_autoptr(IngotHasher) hasher = ingot_hasher_new();
    guint64 size = 0;
    if (!extents_visit(path, extents_hash, hasher, &size, error)) {
        return FALSE;
    }
    size = GUINT64_TO_LE(size);
    ingot_hasher_add(hasher, &size, sizeof size);
    ingot_hasher_finish(hasher, out);
    return TRUE;
}
