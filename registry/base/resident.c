#include "base/resident.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#define STRIDE (64u << 10) /* bytes between two looks */
#define LOOKS_MAX 4096u    /* at one range: of one larger than 256 MiB they are farther apart */

static gboolean has_byte(int fd, guint64 offset)
{
    guint8 byte;
    struct iovec to = {.iov_base = &byte, .iov_len = 1};
    return preadv2(fd, &to, 1, (off_t)offset, RWF_NOWAIT) >= 0 || errno != EAGAIN;
}

gboolean resident_has(int fd, guint64 offset, guint64 size)
{
    guint64 stride = MAX(STRIDE, size / LOOKS_MAX);
    gboolean has = size == 0 || has_byte(fd, offset + size - 1);
    for (guint64 at = 0; has && at < size; at += stride) {
        has = has_byte(fd, offset + at);
    }
    return has;
}

gsize resident_read(int fd, guint64 offset, void *buffer, gsize size)
{
    struct iovec to = {.iov_base = buffer, .iov_len = size};
    ssize_t got = preadv2(fd, &to, 1, (off_t)offset, RWF_NOWAIT);
    return (gsize)MAX(got, 0);
}

void resident_fetch(int fd, guint64 offset, guint64 size)
{
    g_autofree guint8 *data = g_malloc(STRIDE);
    for (guint64 at = 0; at < size;) {
        ssize_t got = pread(fd, data, (size_t)MIN(STRIDE, size - at), (off_t)(offset + at));
        if (got <= 0) {
            return;
        }
        at += (guint64)got;
    }
}
